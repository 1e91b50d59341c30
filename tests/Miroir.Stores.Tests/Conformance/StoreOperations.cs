using FsCheck;
using FsCheck.Fluent;

namespace Miroir.Stores.Tests.Conformance;

/// <summary>Something done to a store. Fields are numbers into <see cref="StoreUniverse"/>.</summary>
internal abstract record StoreOperation
{
    /// <summary>A batch: (key, version) each.</summary>
    public sealed record Put(int Route, int Epoch, int Store, (int Key, int Version)[] Batch) : StoreOperation
    {
        public override string ToString() =>
            $"put {Route}@{Epoch} in {Store}: {string.Join(' ', Batch.Select(put => $"{put.Key}={put.Version}"))}";
    }

    /// <summary>The same, each put a call of its own, all under way at once.</summary>
    public sealed record ConcurrentPuts(int Route, int Epoch, int Store, (int Key, int Version)[] Batch)
        : StoreOperation
    {
        public override string ToString() =>
            $"at once {Route}@{Epoch} in {Store}: {string.Join(' ', Batch.Select(put => $"{put.Key}={put.Version}"))}";
    }

    public sealed record Read(int Route, int Epoch, int Store, int Key) : StoreOperation;

    /// <summary>Every page from <c>After</c> (-1: the start) to the last.</summary>
    public sealed record Scan(
        int Route,
        int Epoch,
        int Store,
        int Range,
        int After,
        int MaxEntries,
        int MaxBytes,
        bool WithBodies
    ) : StoreOperation;

    /// <summary>Every page from <c>After</c> (-1: the start) over the ranges between each second of some bounds and the next.</summary>
    public sealed record ScanRanges(int Route, int Epoch, int Store, int[] Bounds, int After, int MaxEntries)
        : StoreOperation
    {
        public override string ToString() =>
            $"scan {Route}@{Epoch} of {Store}: {string.Join(' ', Bounds)} behind {After}, {MaxEntries} at once";
    }

    public sealed record Raise(int Route, int Epoch, int Store, bool Tell) : StoreOperation;

    public sealed record Make(int Route, int Epoch, int Store, int Migration) : StoreOperation;

    /// <summary>Which incarnation: 0 the store's own, 1 any (empty), 2 another.</summary>
    public sealed record Drop(int Route, int Epoch, int Store, int Incarnation, int Migration) : StoreOperation;

    /// <summary>Digests of ranges between any two of the universe's bounds.</summary>
    public sealed record Digests(int Route, int Epoch, int Store, (int From, int To)[] Bounds) : StoreOperation
    {
        public override string ToString() =>
            $"digests {Route}@{Epoch} of {Store}: {string.Join(' ', Bounds.Select(b => $"{b.From}..{b.To}"))}";
    }

    /// <summary>A key at a version is said to be wrong (<c>Wrong</c> 0: as it is stored), and is given other content.</summary>
    public sealed record Heal(int Route, int Epoch, int Store, int Key, int Version, int Wrong) : StoreOperation;

    /// <summary>Every part from a leaf to the last.</summary>
    public sealed record Scrub(int Route, int Epoch, int Store, int FromKey, int MaxBytes) : StoreOperation;

    /// <summary>Which incarnation: 0 the store's own, else another.</summary>
    public sealed record Purge(int Route, int Epoch, int Store, int Incarnation, int Version) : StoreOperation;

    /// <summary>Every page behind a position (-1: the beginning), up to another.</summary>
    public sealed record Changes(int Route, int Epoch, int Store, int Range, int After, int Through, int MaxChanges)
        : StoreOperation;

    /// <summary>A batch: (key, version, position) each; and the floor of a range, -1: none.</summary>
    public sealed record LogChanges(
        int Route,
        int Epoch,
        int Store,
        (int Key, int Version, int Position)[] Batch,
        int Floor,
        int Range
    ) : StoreOperation
    {
        public override string ToString() =>
            $"log {Route}@{Epoch} in {Store}: {string.Join(' ', Batch)}, floor {Floor} of {Range}";
    }

    public sealed record BeginFill(int Route, int Epoch, int Store) : StoreOperation;

    /// <summary>Which incarnation: 0 the store's own, else another.</summary>
    public sealed record EndFill(int Store, int Incarnation) : StoreOperation;

    public sealed record Reboot : StoreOperation;
}

internal static class StoreOperations
{
    private static Gen<int> Upto(int exclusive) => Gen.Choose(0, exclusive - 1);

    // Mostly epochs that are admitted, sometimes old ones.
    private static readonly Gen<int> Epoch = Gen.Frequency(
        (6, Gen.Constant(3)),
        (2, Gen.Choose(1, 3)),
        (1, Gen.Choose(3, 5))
    );

    private static readonly Gen<(int, int)[]> Batch = Gen.Choose(0, 12)
        .SelectMany(size => (from key in Upto(16) from version in Upto(16) select (key, version)).ArrayOf(size));

    private static readonly Gen<StoreOperation> One = Gen.Frequency(
        (
            10,
            from route in Upto(3)
            from epoch in Epoch
            from store in Upto(3)
            from batch in Batch
            select (StoreOperation)new StoreOperation.Put(route, epoch, store, batch)
        ),
        (
            3,
            from route in Upto(3)
            from epoch in Epoch
            from store in Upto(3)
            from batch in Batch
            select (StoreOperation)new StoreOperation.ConcurrentPuts(route, epoch, store, batch)
        ),
        (
            6,
            from route in Upto(3)
            from epoch in Epoch
            from store in Upto(3)
            from key in Upto(16)
            select (StoreOperation)new StoreOperation.Read(route, epoch, store, key)
        ),
        (
            6,
            from route in Upto(3)
            from epoch in Epoch
            from store in Upto(3)
            from range in Upto(8)
            from after in Gen.Choose(-1, 15)
            from entries in Gen.Choose(1, 6)
            from bytes in Gen.Choose(1, 300)
            from bodies in ArbMap.Default.GeneratorFor<bool>()
            select (StoreOperation)new StoreOperation.Scan(route, epoch, store, range, after, entries, bytes, bodies)
        ),
        (
            4,
            from route in Upto(3)
            from epoch in Epoch
            from store in Upto(3)
            from size in Gen.Choose(0, 9)
            from bounds in Upto(StoreUniverse.Bounds.Length).ArrayOf(size)
            from after in Gen.Choose(-1, 15)
            from entries in Gen.Choose(1, 6)
            select (StoreOperation)new StoreOperation.ScanRanges(route, epoch, store, bounds, after, entries)
        ),
        (
            2,
            from route in Upto(3)
            from epoch in Epoch
            from store in Upto(3)
            from tell in ArbMap.Default.GeneratorFor<bool>()
            select (StoreOperation)new StoreOperation.Raise(route, epoch, store, tell)
        ),
        (
            5,
            from route in Upto(3)
            from epoch in Epoch
            from store in Upto(3)
            from migration in Upto(3)
            select (StoreOperation)new StoreOperation.Make(route, epoch, store, migration)
        ),
        (
            1,
            from route in Upto(3)
            from epoch in Epoch
            from store in Upto(3)
            from incarnation in Upto(3)
            from migration in Upto(3)
            select (StoreOperation)new StoreOperation.Drop(route, epoch, store, incarnation, migration)
        ),
        (
            4,
            from route in Upto(3)
            from epoch in Epoch
            from store in Upto(3)
            from size in Gen.Choose(0, 6)
            from bounds in (
                from lo in Upto(StoreUniverse.Bounds.Length)
                from hi in Upto(StoreUniverse.Bounds.Length)
                select (lo, hi)
            ).ArrayOf(size)
            select (StoreOperation)new StoreOperation.Digests(route, epoch, store, bounds)
        ),
        (
            3,
            from route in Upto(3)
            from epoch in Epoch
            from store in Upto(3)
            from key in Upto(16)
            from version in Upto(16)
            from wrong in Upto(3)
            select (StoreOperation)new StoreOperation.Heal(route, epoch, store, key, version, wrong)
        ),
        (
            1,
            from route in Upto(3)
            from epoch in Epoch
            from store in Upto(3)
            from key in Gen.Choose(-1, 15)
            from bytes in Gen.Choose(1, 300)
            select (StoreOperation)new StoreOperation.Scrub(route, epoch, store, key, bytes)
        ),
        (
            2,
            from route in Upto(3)
            from epoch in Epoch
            from store in Upto(3)
            from incarnation in Upto(3)
            from version in Upto(16)
            select (StoreOperation)new StoreOperation.Purge(route, epoch, store, incarnation / 2, version)
        ),
        (
            5,
            from route in Upto(3)
            from epoch in Epoch
            from store in Upto(3)
            from range in Upto(8)
            from after in Gen.Choose(-1, 15)
            from through in Upto(16)
            from most in Gen.Choose(1, 5)
            select (StoreOperation)new StoreOperation.Changes(route, epoch, store, range, after, through, most)
        ),
        (
            3,
            from route in Upto(3)
            from epoch in Epoch
            from store in Upto(3)
            from size in Gen.Choose(0, 4)
            from batch in (
                from key in Upto(16)
                from version in Upto(16)
                from position in Upto(16)
                select (key, version, position)
            ).ArrayOf(size)
            from floor in Gen.Frequency((3, Gen.Constant(-1)), (2, Upto(16)))
            from range in Upto(8)
            select (StoreOperation)new StoreOperation.LogChanges(route, epoch, store, batch, floor, range)
        ),
        (
            2,
            from route in Upto(3)
            from epoch in Epoch
            from store in Upto(3)
            select (StoreOperation)new StoreOperation.BeginFill(route, epoch, store)
        ),
        (
            2,
            from store in Upto(3)
            from incarnation in Upto(3)
            select (StoreOperation)new StoreOperation.EndFill(store, incarnation / 2)
        ),
        (1, Gen.Constant((StoreOperation)new StoreOperation.Reboot()))
    );

    /// <summary>Runs of up to 60 operations; a failing one shrinks by leaving operations out.</summary>
    public static Arbitrary<StoreOperation[]> Runs { get; } =
        Arb.From(Gen.Choose(1, 60).SelectMany(size => One.ArrayOf(size)), Shorter);

    private static IEnumerable<StoreOperation[]> Shorter(StoreOperation[] run)
    {
        for (var size = run.Length / 2; size >= 1; size /= 2)
        {
            for (var start = 0; start + size <= run.Length; start += size)
            {
                yield return [.. run[..start], .. run[(start + size)..]];
            }
        }
    }
}
