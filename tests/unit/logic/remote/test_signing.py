"""Who may command: bytes, moment and number of a command are signed together."""

from msgspec.structs import replace

from leveret.logic.remote.signing import FRESH_SECONDS, SIGNATURE, Nonces, sign, verify
from leveret.model.remote.command import Parcel

PARCEL = Parcel(body=b'{"method": "shutdown"}', headers={"clock": 1})


def test_any_of_the_keys_verifies_and_the_first_signs() -> None:
    signed = sign(PARCEL, ("new", "old"), 100.0, "n1")

    assert verify(signed, ("new",), 100.0) == "n1"
    assert verify(signed, ("other", "new"), 101.0) == "n1"
    assert verify(signed, ("old",), 100.0) is None
    assert sign(PARCEL, (), 100.0, "n1") is PARCEL


def test_nothing_of_a_signed_command_can_be_changed() -> None:
    signed = sign(PARCEL, ("key",), 100.0, "n1")
    seal = signed.headers[SIGNATURE]

    assert verify(replace(signed, body=signed.body + b" "), ("key",), 100.0) is None
    for changed in (
        seal.replace("n1", "n2"),
        seal.replace("100", "101"),
        seal[:-1] + "x",
        "",
        "1 2",
        "2" + seal[1:],
        7,
    ):
        assert verify(replace(signed, headers={SIGNATURE: changed}), ("key",), 100.0) is None, changed
    assert verify(PARCEL, ("key",), 100.0) is None


def test_an_old_command_is_nobodys() -> None:
    signed = sign(PARCEL, ("key",), 100.0, "n1")

    assert verify(signed, ("key",), 100.0 + FRESH_SECONDS) == "n1"
    assert verify(signed, ("key",), 100.1 + FRESH_SECONDS) is None
    assert verify(signed, ("key",), 99.9 - FRESH_SECONDS) is None


def test_a_number_is_used_once() -> None:
    nonces = Nonces()

    assert nonces.use("a", 0.0)
    assert not nonces.use("a", FRESH_SECONDS)
    assert all(nonces.use(f"n{n}", 1.0) for n in range(3000))
    assert not nonces.use("a", FRESH_SECONDS)
