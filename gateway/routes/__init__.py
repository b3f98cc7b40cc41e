"""One file a kind of caller; each exports its *routes*. Endpoints decode, call a service, encode, or refuse."""
