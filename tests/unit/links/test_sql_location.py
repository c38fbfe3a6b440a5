from pathlib import Path

import pytest

from leveret.errors import ImproperlyConfigured
from leveret.links.sql import location

MOUNTS = """\
/dev/vda / ext4 rw,relatime 0 0
server:/export /srv/shared\\040files nfs4 rw 0 0
C:\\134 /mnt/c 9p rw,aname=drvfs;path=C:\\ 0 0
none /gvisor 9p rw,trans=fd 0 0
tmpfs /srv/shared\\040files/local tmpfs rw 0 0
"""


def test_the_folder_in_a_project_is_not_for_git(tmp_path):
    location.prepare(tmp_path / ".leveret" / "queue.db")
    location.prepare(tmp_path / "own" / "queue.db")

    assert (tmp_path / ".leveret" / ".gitignore").read_text() == "*\n"
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["queue.db"]


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/me", "ext4"),
        ("/srv/shared files", "nfs4"),
        ("/srv/shared files/app", "nfs4"),
        ("/srv/shared files/local", "tmpfs"),
        ("/srv/shared filesystem", "ext4"),
        ("/mnt/c/Users", "drvfs"),
        ("/gvisor/root", "9p"),
    ],
)
def test_the_innermost_mount_tells_the_file_system(folder, kind):
    assert location.file_system(folder, MOUNTS) == kind


def test_a_network_file_system_is_refused_with_what_to_do(monkeypatch, tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"server:/x {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr(location, "_MOUNTS", mounts)

    with pytest.raises(ImproperlyConfigured, match="network file system \\(nfs4\\).*amqp://"):
        location.prepare(tmp_path / "queue.db")


def test_three_slashes_are_relative_and_four_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    assert location.locate("sqlite:///a/queue.db") == tmp_path / "a/queue.db"
    assert location.locate("sqlite:////var/a%20b.db") == Path("/var/a b.db")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///q.db?mode=ro"])
def test_a_url_without_a_file_is_refused(url):
    with pytest.raises(ImproperlyConfigured):
        location.locate(url)


def test_the_folder_is_made_and_nobody_else_may_read(tmp_path):
    path = tmp_path / "new" / "queue.db"

    location.prepare(path)

    assert (path.parent.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ImproperlyConfigured, match="cannot use .*queue.db"):
        location.prepare(tmp_path / "file" / "queue.db")
