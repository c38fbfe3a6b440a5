SELECT no, id, pid, quarantine, orphaned FROM sessions WHERE orphaned IS NOT NULL
