"""What lies between the thread that hears a child and the one that uses what it heard."""

import threading

from app.engine.frame_queue import MOST_BYTES, FrameQueue
from app.engine.frames import Frame

SOON_S = 60.0  # the end of any wait here; reached only by a program that is wrong


def frame(number: int, size: int) -> Frame:
    return Frame("picture", {"number": number}, bytes(size))


def test_frames_beyond_the_bound_wait_for_the_reader_and_come_in_order() -> None:
    queue = FrameQueue()
    sizes = [10, MOST_BYTES, 5, 7]  # after the second there is more than the bound
    put: list[int] = []

    def hear() -> None:
        for number, size in enumerate(sizes):
            queue.put(frame(number, size))
            put.append(number)
        queue.end()

    hearer = threading.Thread(target=hear, daemon=True)
    hearer.start()
    numbers, most = [], 0
    while True:
        try:
            got = queue.get(SOON_S)
        except EOFError:
            break
        assert got is not None
        numbers.append(got.fields["number"])
        most = max(most, len(got.raw))
    hearer.join(SOON_S)
    assert (numbers, put, most) == ([0, 1, 2, 3], [0, 1, 2, 3], MOST_BYTES)


def test_whoever_waits_for_room_goes_on_when_a_frame_is_taken_or_nobody_reads_any_more() -> None:
    for free in (lambda queue: queue.get(SOON_S), lambda queue: queue.end()):
        queue = FrameQueue()
        first, second = (_putting(queue, frame(number, MOST_BYTES + 1)) for number in (0, 1))
        first.join(SOON_S)
        assert not first.is_alive()
        second.join(0.05)
        assert second.is_alive()
        free(queue)
        second.join(SOON_S)
        assert not second.is_alive()


def _putting(queue: FrameQueue, what: Frame) -> threading.Thread:
    thread = threading.Thread(target=queue.put, args=(what,), daemon=True)
    thread.start()
    return thread
