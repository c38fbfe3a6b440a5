SELECT no, parcel FROM parcels WHERE box = ? AND no > ? ORDER BY no LIMIT 1000
