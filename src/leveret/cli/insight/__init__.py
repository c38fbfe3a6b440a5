"""The verbs that say what is wrong: `explain` with one task, `doctor` with the set-up."""
