//! The catalog's tables and what is in them at first.

use crate::data::{Followed, triggers};

/// What the replica has too.
pub(super) const FOLLOWED: [Followed; 5] = [
    Followed {
        name: "products",
        create: "CREATE TABLE IF NOT EXISTS products (id TEXT PRIMARY KEY, warehouse TEXT NOT NULL)",
        triggers: triggers!("products"),
        select: "SELECT id, warehouse FROM products WHERE id = $1",
        upsert: "INSERT INTO products (id, warehouse) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET warehouse = excluded.warehouse",
        delete: "DELETE FROM products WHERE id = $1",
    },
    Followed {
        name: "prices",
        create: "CREATE TABLE IF NOT EXISTS prices (id TEXT PRIMARY KEY, cents BIGINT NOT NULL)",
        triggers: triggers!("prices"),
        select: "SELECT id, cents FROM prices WHERE id = $1",
        upsert: "INSERT INTO prices (id, cents) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET cents = excluded.cents",
        delete: "DELETE FROM prices WHERE id = $1",
    },
    Followed {
        name: "stock",
        // The last word on overselling, should a statement ever get it wrong.
        create: "CREATE TABLE IF NOT EXISTS stock (id TEXT PRIMARY KEY, level BIGINT NOT NULL CHECK (level >= 0))",
        triggers: triggers!("stock"),
        select: "SELECT id, level FROM stock WHERE id = $1",
        upsert: "INSERT INTO stock (id, level) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET level = excluded.level",
        delete: "DELETE FROM stock WHERE id = $1",
    },
    Followed {
        name: "views",
        create: "CREATE TABLE IF NOT EXISTS views (id TEXT PRIMARY KEY, seen BIGINT NOT NULL)",
        triggers: triggers!("views"),
        select: "SELECT id, seen FROM views WHERE id = $1",
        upsert: "INSERT INTO views (id, seen) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET seen = excluded.seen",
        delete: "DELETE FROM views WHERE id = $1",
    },
    Followed {
        name: "reviews",
        create: "CREATE TABLE IF NOT EXISTS reviews (id TEXT PRIMARY KEY, product TEXT NOT NULL, customer TEXT NOT NULL, \
                 stars BIGINT NOT NULL, said TEXT NOT NULL, written_ms BIGINT NOT NULL)",
        triggers: triggers!("reviews"),
        select: "SELECT id, product, customer, stars, said, written_ms FROM reviews WHERE id = $1",
        // A review does not change.
        upsert: "INSERT INTO reviews (id, product, customer, stars, said, written_ms) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING",
        delete: "DELETE FROM reviews WHERE id = $1",
    },
];

/// What only the primary has, and the first rows.
pub(super) const PRIMARY: [&str; 7] = [
    "CREATE INDEX IF NOT EXISTS reviews_of_product ON reviews (product, written_ms)",
    "CREATE TABLE IF NOT EXISTS reservations (order_id TEXT NOT NULL, product TEXT NOT NULL, quantity BIGINT NOT NULL, \
     amount_cents BIGINT NOT NULL, held_ms BIGINT NOT NULL, PRIMARY KEY (order_id, product))",
    "CREATE INDEX IF NOT EXISTS reservations_by_age ON reservations (held_ms)",
    "INSERT INTO products (id, warehouse) VALUES ('lantern', 'near'), ('kettle', 'near'), ('compass', 'near'), ('almanac', 'near'), ('sextant', 'far') \
     ON CONFLICT (id) DO NOTHING",
    "INSERT INTO prices (id, cents) VALUES ('lantern', 1990), ('kettle', 3450), ('compass', 2725), ('almanac', 1200), ('sextant', 24900) \
     ON CONFLICT (id) DO NOTHING",
    "INSERT INTO stock (id, level) VALUES ('lantern', 60), ('kettle', 60), ('compass', 60), ('almanac', 60), ('sextant', 60) \
     ON CONFLICT (id) DO NOTHING",
    "INSERT INTO views (id, seen) VALUES ('lantern', 0), ('kettle', 0), ('compass', 0), ('almanac', 0), ('sextant', 0) \
     ON CONFLICT (id) DO NOTHING",
];
