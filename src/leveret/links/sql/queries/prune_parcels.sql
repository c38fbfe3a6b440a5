DELETE FROM parcels WHERE at < ?
