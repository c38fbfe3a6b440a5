DELETE FROM parcels WHERE box = ?
