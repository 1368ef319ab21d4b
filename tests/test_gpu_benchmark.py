"""The benchmark of memory tiers, run with tiny models: that it works, not what it measures."""

import pytest

from benchmarks.gpu import main


@pytest.mark.filterwarnings("ignore:The configuration file of this scheduler:FutureWarning")  # of a random model
def test_the_gpu_benchmark_runs_each_tier_of_a_tiny_model_and_says_that_no_gpu_was_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tiers = ["resident", "released", "model-offload", "fp8"]
    lines = main(["--tiny", "--device", "cpu", "--models", "sd15", "--steps", "1", "--tiers", *tiers])
    assert [line.how for line in lines] == ["plain diffusers", *tiers]
    assert [bool(line.error) for line in lines] == [False, False, False, True, False]  # offloading needs a GPU
    assert all(line.seconds > 0 for line in lines if not line.error)
    printed = capsys.readouterr().out
    assert "no measurement" in printed
    assert "No figures of this script on a GPU are published yet." in printed


def test_the_gpu_benchmark_measures_nothing_without_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--device", "cpu"])
    assert "--tiny checks the script on a CPU" in capsys.readouterr().err
