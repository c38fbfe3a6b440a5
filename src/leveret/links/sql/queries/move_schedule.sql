UPDATE schedules SET cursor = ?, due = ?, last = coalesce(?, last), last_moment = coalesce(?, last_moment)
WHERE name = ? AND revision = ? AND cursor = ? AND NOT paused
