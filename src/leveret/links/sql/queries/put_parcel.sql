INSERT INTO parcels (box, at, parcel) VALUES (?, ?, ?)
