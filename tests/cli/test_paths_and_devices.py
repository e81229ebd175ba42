"""A device that is not there, and paths as people write them."""

import pytest
import torch
from commands import ours, refused

from mindrec.errors import MindRecError
from mindrec.system.devices import pick_device

MISSING = "mps" if torch.cuda.is_available() else "cuda"


@pytest.mark.parametrize("device", [MISSING, "meta", f"{MISSING}:7", "cpuu", "xla"])
def test_a_device_that_is_not_there_is_named_with_a_remedy(device):
    with pytest.raises(MindRecError, match=rf"{device}.*use auto"):
        pick_device(device)


def test_a_command_on_such_a_device_is_refused_in_one_line(checkpoint):
    line = refused("recommend", "--checkpoint", checkpoint, "--item", "i0", "--device", MISSING)
    assert MISSING in line


def test_the_home_folder_may_be_written_short(checkpoint, monkeypatch):
    monkeypatch.setenv("HOME", str(checkpoint.parent))
    code, _, err = ours("recommend", f"--checkpoint=~/{checkpoint.name}", "--item", "i0", "--device", "cpu")
    assert (code, err) == (0, "")
    assert "no/~such" in refused("recommend", "--checkpoint", "no/~such", "--item", "i0")
