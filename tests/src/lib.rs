//! What the tests of the whole share: a recorder, a player, a server to test.
