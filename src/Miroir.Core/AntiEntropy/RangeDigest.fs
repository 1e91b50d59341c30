namespace Miroir.Core

/// The digest of all entries of a range: the sum of their digests, each lane modulo 2^64, and how many they are.
/// Sums can be updated by difference and split by range, and do not cancel as XOR does: two equal changes, or a
/// row twice, show (Bellare and Micciancio, "A New Paradigm for Collision-Free Hashing", 1997).
[<Struct>]
type RangeDigest = {
    Sum: Digest
    /// Entries, tombstones included.
    Entries: int64
} with

    static member Zero = { Sum = Digest.Zero; Entries = 0L }

    static member (+)(x: RangeDigest, y: RangeDigest) = {
        Sum = x.Sum + y.Sum
        Entries = x.Entries + y.Entries
    }

    static member (-)(x: RangeDigest, y: RangeDigest) = {
        Sum = x.Sum - y.Sum
        Entries = x.Entries - y.Entries
    }

    /// What one entry adds.
    static member OfEntry(key: Key, version: DocumentVersion, isTombstone: bool, body: Digest) : RangeDigest = {
        Sum = Digest.OfEntry(key, version, isTombstone, body)
        Entries = 1L
    }

    static member OfEntry(entry: Entry) : RangeDigest =
        RangeDigest.OfEntry(entry.Key, entry.Version, entry.IsTombstone, entry.Digest)
