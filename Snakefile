# A folder of studies through every stage, on all cores; interrupted runs resume.
#
#   snakemake --cores all --config inbox=INBOX out=RESULTS [site=site.yaml]
#
# Each entry of INBOX (a folder or a .zip) is one study. Its results are in RESULTS/case-XXXXXXXXXX, a
# name made from a hash of the entry's name, since that can be a patient's. A refused study gets its
# row in RESULTS/cohort.tsv like any other. The stages decide by fingerprint whether they must run.
from pathlib import Path

from nvc_pipeline.config import load_config
from nvc_pipeline.stages.cohort import studies_of, write_cohort

INBOX = Path(config.get("inbox", "inbox"))
OUT = Path(config.get("out", "results"))
SITE = config.get("site")
load_config(Path(SITE) if SITE else None)  # a wrong setting stops here, before any job
STUDIES = studies_of(INBOX)
SITE_ARGS = ["--config", SITE] if SITE else []


wildcard_constraints:
    case="case-[0-9a-f]{10}",


rule all:
    input:
        OUT / "cohort.tsv",


rule ingest:
    output:
        OUT / "{case}" / "ingest.json",
    params:
        study=lambda wildcards: STUDIES[wildcards.case],
        site=SITE_ARGS,
    resources:
        mem_mb=4000,
    shell:
        "nvc stage ingest --study {params.study:q} --out {OUT:q}/{wildcards.case} {params.site:q}"


rule align:
    input:
        OUT / "{case}" / "ingest.json",
    output:
        OUT / "{case}" / "align.json",
    params:
        site=SITE_ARGS,
    resources:
        mem_mb=4000,
    shell:
        "nvc stage align --out {OUT:q}/{wildcards.case} {params.site:q}"


rule segment:
    input:
        OUT / "{case}" / "ingest.json",
        OUT / "{case}" / "align.json",
    output:
        OUT / "{case}" / "segment.json",
    params:
        site=SITE_ARGS,
    resources:
        mem_mb=4000,
    shell:
        "nvc stage segment --out {OUT:q}/{wildcards.case} {params.site:q}"


rule trace:
    input:
        OUT / "{case}" / "segment.json",
    output:
        OUT / "{case}" / "trace.json",
    params:
        site=SITE_ARGS,
    resources:
        mem_mb=4000,
    shell:
        "nvc stage trace --out {OUT:q}/{wildcards.case} {params.site:q}"


rule measure:
    input:
        OUT / "{case}" / "trace.json",
    output:
        OUT / "{case}" / "measure.json",
    params:
        site=SITE_ARGS,
    resources:
        mem_mb=4000,
    shell:
        "nvc stage measure --out {OUT:q}/{wildcards.case} {params.site:q}"


rule report:
    input:
        OUT / "{case}" / "measure.json",
    output:
        OUT / "{case}" / "report.json",
    params:
        site=SITE_ARGS,
    resources:
        mem_mb=4000,
    shell:
        "nvc stage report --out {OUT:q}/{wildcards.case} {params.site:q}"


rule export:
    input:
        OUT / "{case}" / "report.json",
    output:
        OUT / "{case}" / "case.json",
    params:
        site=SITE_ARGS,
    resources:
        mem_mb=4000,
    shell:
        "nvc stage export --out {OUT:q}/{wildcards.case} {params.site:q}"


rule cohort:
    input:
        expand(OUT / "{case}" / "case.json", case=STUDIES),
    output:
        OUT / "cohort.tsv",
    run:
        write_cohort([Path(path) for path in input], Path(output[0]))
