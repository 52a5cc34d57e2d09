"""``python -m nvc_pipeline`` is ``nvc``."""

from nvc_pipeline.cli.app import main

main()
