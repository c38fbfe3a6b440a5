"""Who gives an order, for those who wonder later."""

import getpass
import os
import socket


def author() -> str:
    """`user@host`, of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # no such user in this container
        user = f"uid {os.getuid()}" if hasattr(os, "getuid") else "somebody"
    return f"{user}@{socket.gethostname()}"
