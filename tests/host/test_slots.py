"""Slots that all processes of a machine share."""

import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from host.slots import MachineSlots

SPAWN = multiprocessing.get_context("spawn")


def hold(directory: Path, number: int, running: Any, most: Any, rounds: int) -> None:
    """Take a slot again and again from several threads, and note how many are held at a time."""
    slots = MachineSlots(directory, number)

    def one(_: int) -> None:
        with slots.holding():
            with running.get_lock():
                running.value += 1
                most.value = max(most.value, running.value)
            time.sleep(0.01)
            with running.get_lock():
                running.value -= 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(rounds)))


def die_holding(directory: Path, number: int) -> None:
    slots = MachineSlots(directory, number)
    held = [slots.holding() for _ in range(number)]
    for each in held:
        each.__enter__()


def test_processes_together_hold_no_more_than_there_are(tmp_path: Path) -> None:
    running, most = SPAWN.Value("i", 0), SPAWN.Value("i", 0)
    workers = [SPAWN.Process(target=hold, args=(tmp_path, 2, running, most, 12)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert (running.value, most.value) == (0, 2)


def test_slots_of_a_dead_process_are_free(tmp_path: Path) -> None:
    worker = SPAWN.Process(target=die_holding, args=(tmp_path, 2))
    worker.start()
    worker.join(60)
    with MachineSlots(tmp_path, 2).holding(), MachineSlots(tmp_path, 2).holding():
        assert len(list(tmp_path.iterdir())) == 2


def test_a_slot_whose_file_could_not_be_opened_is_not_lost(tmp_path: Path) -> None:
    slots = MachineSlots(tmp_path, 1)
    (tmp_path / "0.lock").mkdir()
    for _ in range(2):
        with pytest.raises(IsADirectoryError), slots.holding():
            pass
    (tmp_path / "0.lock").rmdir()
    with slots.holding():
        assert (tmp_path / "0.lock").is_file()
