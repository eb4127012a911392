//! Where things are kept: databases with pools, replicas and shards, and caches before them; each embedded or a server.
