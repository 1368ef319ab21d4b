"""Of many idle engines one looks at the table for all."""

import math

from app.jobs.signals import EmptyLine


def test_what_one_engine_found_empty_no_other_looks_at_until_somebody_rings() -> None:
    line = EmptyLine(good_for_s=math.inf)
    assert not line.known(rings=0)
    line.note(rings=4)
    assert line.known(rings=4)
    assert not line.known(rings=5)  # a job may have come since


def test_a_job_that_was_put_back_is_looked_for_at_once() -> None:
    line = EmptyLine(good_for_s=math.inf)
    line.note(rings=0)
    line.forget()
    assert not line.known(rings=0)


def test_a_job_of_another_service_that_did_not_ring_is_found_when_that_is_old() -> None:
    line = EmptyLine(good_for_s=0)
    line.note(rings=0)
    assert not line.known(rings=0)
