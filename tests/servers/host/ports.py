"""Ports of the loopback that stay ours: while a killed server is down, and beside other test processes.

A port is claimed by binding its number for UDP, which the servers leave alone; the kernel lets go of it when we die.
The numbers lie below those the kernel gives to outgoing connections, or a client could take a killed server's port.
"""

import random
import socket

HOST = "127.0.0.1"
LOWEST, HIGHEST = 20_000, 32_000


class Port:
    """One claimed number; free again after `release`."""

    def __init__(self, number: int, claim: socket.socket) -> None:
        self.number = number
        self._claim = claim

    def release(self) -> None:
        self._claim.close()


def claim_port() -> Port:
    """Claim a port that nobody listens on."""
    for _ in range(1_000):
        number = random.randrange(LOWEST, HIGHEST)
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind((HOST, number))
            _check_free(number)
        except OSError:
            claim.close()
        else:
            return Port(number, claim)
    raise RuntimeError(f"no free port from {LOWEST} to {HIGHEST} on {HOST}")


def _check_free(number: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, number))
        probe.listen()


def listens(number: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, number)) == 0
