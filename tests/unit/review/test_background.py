"""Slow work in the child: exact numbers, products, imports; what waits when the window closes."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from nvc_pipeline.config import load_config
from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.measure.side import measure_side
from nvc_pipeline.review import records, worker
from nvc_pipeline.review.answers import Measured, Written
from nvc_pipeline.review.arrivals import Imported
from nvc_pipeline.review.background import Background
from nvc_pipeline.review.database import open_database
from nvc_pipeline.review.desk import CaseDesk
from nvc_pipeline.review.worklist import thumbnail
from tests import review_cases as rc

CONFIG = load_config()


@pytest.fixture
def answers():
    return queue.Queue()


@pytest.fixture
def background(answers):
    made = Background(CONFIG, answers.put)
    yield made
    made.close()


def _until(true, limit_s=60.0):
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_side_is_measured_as_the_pipeline_does_and_a_fault_is_named(background, answers):
    image, traced = rc.volumes()[0], rc.traced(Side.LEFT)
    background.use(image)
    background.warm(traced)
    background.measure(7, traced)
    answer = answers.get(timeout=60)
    assert isinstance(answer, Measured)
    assert answer.ticket == 7
    assert answer.report == measure_side(traced, image, CONFIG.measure)
    background.measure(8, replace(traced, nerve=replace(traced.nerve, free=None)))
    failed = answers.get(timeout=60)
    assert (failed.ticket, failed.report, failed.error.code) == (8, None, "fault.internal")
    # The child lives on.
    background.measure(9, traced)
    assert answers.get(timeout=60).report == answer.report


def test_a_killed_child_is_started_again(background, answers):
    image, traced = rc.volumes()[0], rc.traced(Side.LEFT)
    background.use(image)
    background.measure(1, traced)
    answers.get(timeout=60)
    background._process.kill()
    background._process.join(10)
    background.measure(2, traced)
    assert answers.get(timeout=60).ticket == 2


def test_what_a_killed_child_took_with_it_is_answered_with_an_error(background, answers):
    background.use(rc.volumes()[0])
    background.measure(0, rc.traced(Side.RIGHT))
    assert answers.get(timeout=60).ticket == 0
    os.kill(background._process.pid, signal.SIGSTOP)
    background.measure(1, rc.traced(Side.LEFT))
    _until(lambda: background._measuring == {1})
    # Delivered, not only on its way: what is still on its way goes to a fresh child.
    time.sleep(0.3)
    background._process.kill()
    answer = answers.get(timeout=60)
    assert (answer.ticket, answer.report, answer.error.code) == (1, None, "fault.internal")


def test_posting_never_waits_for_the_child(background, answers):
    """The window posts: a child that is busy, or not there yet, must not hold it."""
    image, traced = rc.volumes()[0], rc.traced(Side.LEFT)
    background.use(image)
    background.measure(1, traced)
    _until(lambda: background._process is not None)
    os.kill(background._process.pid, signal.SIGSTOP)
    begun = time.monotonic()
    for ticket in (2, 3, 4):
        background.use(image)
        background.measure(ticket, traced)
    assert time.monotonic() - begun < 1.0
    os.kill(background._process.pid, signal.SIGCONT)
    # What was for the cases before is dropped.
    found = {answers.get(timeout=60).ticket}
    if 4 not in found:
        found.add(answers.get(timeout=60).ticket)
    assert 4 in found
    assert not found & {2, 3}


def test_closing_does_not_wait_for_a_child_that_takes_no_message(answers):
    background = Background(CONFIG, answers.put)
    background.use(rc.volumes()[0])
    background.measure(1, rc.traced(Side.LEFT))
    _until(lambda: background._process is not None)
    process = background._process
    os.kill(process.pid, signal.SIGSTOP)
    background.use(rc.volumes()[0])
    begun = time.monotonic()
    background.close()
    assert time.monotonic() - begun < 10.0
    os.kill(process.pid, signal.SIGCONT)
    process.join(10)
    assert not process.is_alive()


def test_a_newer_correction_does_not_wait_for_the_numbers_of_the_one_before():
    """Between two vessels the child looks for messages; the overtaken request is never answered."""
    ours, theirs = multiprocessing.Pipe()
    child = worker._Child(theirs, CONFIG)
    traced = rc.traced(Side.LEFT)
    two = replace(traced, vessels=(*traced.vessels, replace(traced.vessels[0], vessel_id="left_2")))
    child._take(("volume", rc.volumes()[0]))
    child._take(("measure", 1, two))
    child.turn()
    assert not ours.poll()
    child._take(("measure", 2, traced))
    for _ in range(2):
        child.turn()
    assert ours.recv().ticket == 2
    assert not ours.poll()


def test_products_of_a_signature_are_written_though_the_window_closes(background, answers, tmp_path):
    folder = rc.write_result(tmp_path / "a")
    with open_database(CONFIG.review, tmp_path) as database:
        records.import_results(database, [folder])
        desk = CaseDesk.open(folder, CONFIG, lambda t, v: rc.side_report(t.side), database, "ada")
        for side in Side:
            desk.save_form(desk.proposed(side))
        reading = desk.sign()
    background.write_products(folder, reading)
    background.close()
    assert isinstance(answers.get(timeout=10), Written)
    assert (folder / "review" / "ada_v1" / "report.html").is_file()


def test_imports_tell_how_far_they_are(background, answers, tmp_path):
    for name in ("a", "b"):
        rc.write_result(tmp_path / name, rc.report(name))
    background.import_folders(tmp_path, tmp_path, "ada")
    seen = []
    while not seen or not seen[-1].done:
        seen.append(answers.get(timeout=60))
        assert isinstance(seen[-1], Imported)
    assert (seen[0].what, seen[0].count) == ("results", 2)
    with open_database(CONFIG.review, tmp_path) as database:
        assert thumbnail(database, "b")
    assert Path(tmp_path / "nvc_review.sqlite").is_file()
