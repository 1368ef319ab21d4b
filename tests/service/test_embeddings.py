"""Which embeddings there are, as programs ask for them."""

from collections.abc import Callable

import numpy as np
from safetensors.numpy import save_file

from tests.service.conftest import House


def test_programs_learn_which_embeddings_the_chosen_model_reads(make_house: Callable[..., House]) -> None:
    house = make_house()
    folder = house.service.parts.catalog.folder / "embeddings"
    assert house.client.get("/sdapi/v1/embeddings").get_json() == {"loaded": {}, "skipped": {}}
    folder.mkdir()
    save_file({"emb_params": np.zeros((3, 768), np.float32)}, folder / "bad hands.safetensors")
    save_file({"clip_l": np.zeros((1, 768)), "clip_g": np.zeros((1, 1280))}, folder / "y2k.safetensors")
    (folder / "none.pt").write_bytes(b"none")
    bad, none, y2k = house.client.get("/api/embeddings").get_json()["items"]
    assert (bad["name"], bad["vectors"], bad["refused"]) == ("bad hands", 3, None)
    assert "pocket" in bad["models"]
    assert "none.pt is no file of torch.save" in none["refused"]
    assert "pocket" not in y2k["models"]
    told = house.client.get("/sdapi/v1/embeddings").get_json()
    assert set(told["skipped"]) == {"none", "y2k"}
    assert told["loaded"]["bad hands"] == {
        "step": None, "sd_checkpoint": None, "sd_checkpoint_name": None, "shape": 768, "vectors": 3,
    }  # fmt: skip
