using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Miroir.Core;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Sqlite;

/// <summary>
/// The leaf digests in a shard's file: a row for each leaf that is not empty, and what the open transaction changes of
/// them. Each changed leaf is written once, when the transaction ends. Belongs to the thread that writes.
/// </summary>
internal sealed class LeafTable
{
    public const string Definition = """
        CREATE TABLE leaf_digests(
            leaf INTEGER PRIMARY KEY, sum_a INTEGER NOT NULL, sum_b INTEGER NOT NULL, entries INTEGER NOT NULL);
        """;

    private readonly CommittedDigests _committed;
    private readonly Statement _write;
    private readonly Statement _delete;
    private readonly Dictionary<int, RangeDigest> _changes = [];
    private readonly List<(int Leaf, RangeDigest Digest)> _written = [];

    /// <summary>Loads what is committed.</summary>
    public LeafTable(Database database, CommittedDigests committed)
    {
        _committed = committed;
        _write = database.Prepare("INSERT OR REPLACE INTO leaf_digests VALUES(?1, ?2, ?3, ?4)");
        _delete = database.Prepare("DELETE FROM leaf_digests WHERE leaf = ?1");
        using var rows = database.Prepare(
            "SELECT sum_a, sum_b, entries, leaf FROM leaf_digests WHERE leaf BETWEEN ?1 AND ?2"
        );
        rows.Bind(1, committed.Leaves.First).Bind(2, committed.Leaves.Last);
        while (rows.Step())
            committed.Leaves[(int)rows.Int64(3)] = DigestIn(rows);
    }

    /// <summary>Makes the table in a file that has entries and no such table. In a transaction of the caller's.</summary>
    public static void Build(Database database)
    {
        database.Execute(Definition);
        using var write = database.Prepare("INSERT INTO leaf_digests VALUES(?1, ?2, ?3, ?4)");
        using var entries = database.Prepare(
            "SELECT key, term, clock, deleted, digest, hash FROM entries ORDER BY hash, key"
        );
        var leaf = -1;
        var sum = RangeDigest.Zero;
        while (entries.Step())
        {
            var at = DigestGrid.leafOf(ShardSchema.FromStored(entries.Int64(5)));
            if (at != leaf && leaf >= 0)
            {
                Bind(write, leaf, sum).Execute();
                sum = RangeDigest.Zero;
            }

            leaf = at;
            sum += DigestOf(entries);
        }

        if (leaf >= 0)
            Bind(write, leaf, sum).Execute();
    }

    /// <summary>The digest in a row whose first columns are the two sums and the count.</summary>
    public static RangeDigest DigestIn(Statement row) =>
        new(new Digest(unchecked((ulong)row.Int64(0)), unchecked((ulong)row.Int64(1))), row.Int64(2));

    /// <summary>What an entry adds; the row begins with its key, term, clock, whether it is deleted, and its body's digest.</summary>
    public static RangeDigest DigestOf(Statement row) =>
        RangeDigest.OfEntry(
            Key.OfBytes(row.Text(0)),
            new DocumentVersion(row.Int64(1), row.Int64(2)),
            row.Int64(3) != 0,
            BodyDigest(row.Blob(4))
        );

    /// <exception cref="DamagedFileException">A digest has 16 bytes.</exception>
    public static Digest BodyDigest(ReadOnlySpan<byte> stored) =>
        stored.Length == 16
            ? new Digest(
                BinaryPrimitives.ReadUInt64BigEndian(stored),
                BinaryPrimitives.ReadUInt64BigEndian(stored[8..])
            )
            : throw new DamagedFileException($"an entry has a digest of {stored.Length} bytes, not 16");

    /// <summary>See <see cref="SqliteNodeStoreOptions.KeepsLeafDigests"/>.</summary>
    public bool IsKept { get; init; } = true;

    public void Add(Entry entry)
    {
        if (IsKept)
            Change(entry.Key.Hash) += RangeDigest.OfEntry(entry);
    }

    public void Remove(Key key, DocumentVersion version, bool isTombstone, Digest body)
    {
        if (IsKept && !Mutants.digestsOnlyGrow())
            Change(key.Hash) -= RangeDigest.OfEntry(key, version, isTombstone, body);
    }

    /// <summary>The leaf's digest becomes this, whatever it was. It has no other change in this transaction.</summary>
    public void Set(int leaf, RangeDigest digest) => _changes[leaf] = digest - _committed.Leaves[leaf];

    /// <summary>Into the transaction.</summary>
    public void Write()
    {
        foreach (var (leaf, change) in _changes)
            _written.Add((leaf, _committed.Leaves[leaf] + change));
        // Neighbours stand on the same page.
        _written.Sort(static (a, b) => a.Leaf.CompareTo(b.Leaf));
        if (Mutants.digestsNotDurable())
            return;
        foreach (var (leaf, digest) in _written)
        {
            if (digest.Equals(RangeDigest.Zero))
                _delete.Bind(1, leaf).Execute();
            else
                Bind(_write, leaf, digest).Execute();
        }
    }

    /// <summary>The transaction is on the disk. Within the moment.</summary>
    public void Publish()
    {
        foreach (var (leaf, digest) in _written)
            _committed.Leaves[leaf] = digest;
        Forget();
    }

    public void Forget()
    {
        _changes.Clear();
        _written.Clear();
    }

    private ref RangeDigest Change(ulong hash) =>
        ref CollectionsMarshal.GetValueRefOrAddDefault(_changes, DigestGrid.leafOf(hash), out _);

    private static Statement Bind(Statement statement, int leaf, RangeDigest digest) =>
        statement
            .Bind(1, leaf)
            .Bind(2, unchecked((long)digest.Sum.A))
            .Bind(3, unchecked((long)digest.Sum.B))
            .Bind(4, digest.Entries);
}
