SELECT kind, name, since, by FROM pauses ORDER BY kind, name
