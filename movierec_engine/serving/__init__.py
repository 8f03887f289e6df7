"""Lists from the indices in a store, made for one person: what the API, exports and off-policy estimates share."""
