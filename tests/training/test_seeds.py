"""Seeds follow from what they are for."""

from automl.training.seeds import derive_seed


def test_a_seed_is_the_same_in_every_process_and_version():
    assert derive_seed(0, "trial", 7) == 5716027875180767030
    assert derive_seed(0, "trial", 7) == derive_seed("0", "trial", "7")


def test_seeds_differ_by_every_part_and_by_the_order_of_parts():
    seeds = {derive_seed(run, "fold", fold, epoch) for run in range(10) for fold in range(10) for epoch in range(10)}
    assert len(seeds) == 1000
    assert derive_seed(1, 2) != derive_seed(2, 1)
    assert derive_seed(1, 23) != derive_seed(12, 3)


def test_a_seed_is_what_torch_and_numpy_take():
    assert all(0 <= derive_seed("x", number) < 2**63 for number in range(1000))
    assert max(derive_seed("x", number) for number in range(1000)) > 2**62
