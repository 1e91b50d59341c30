using Microsoft.FSharp.Core;
using Miroir.Core;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Sqlite;

/// <summary>Reads, pages and status. Each blocks for as long as the disk takes; gates are held while rows are read.</summary>
internal static class ShardReads
{
    /// <summary>Fills in the replies, file by file, each in one snapshot.</summary>
    public static ReadReply[] Read(
        ShardFiles files,
        IReadOnlyList<ReadCommand> commands,
        RouteBarrier[] barriers,
        ReadReply[] replies
    )
    {
        if (commands.Count == 1)
        {
            ReadFrom(files, commands[0].Store, [0], commands, barriers, replies);
            return replies;
        }

        foreach (var group in Enumerable.Range(0, commands.Count).GroupBy(i => commands[i].Store))
            ReadFrom(files, group.Key, [.. group], commands, barriers, replies);
        return replies;
    }

    /// <param name="page">Reads it.</param>
    public static ScanReply Scan(
        ShardFiles files,
        RouteStamp stamp,
        ShardId store,
        RouteBarrier barrier,
        Func<ShardReader, ScanPage> page
    ) =>
        Admitted(
            files,
            stamp,
            store,
            barrier,
            (_, reader) => ScanReply.NewPage(page(reader)),
            ScanReply.NewScanStaleEpoch,
            Mutants.notServingAnswersAbsent()
                ? ScanReply.NewPage(new ScanPage([], [], true))
                : ScanReply.ScanNotServing,
            ScanReply.NewScanRefused
        );

    /// <summary>Past the barrier: nobody but the one who fills the store asks.</summary>
    public static ScanReply ScanFilling(ShardFiles files, ScanCommand command) =>
        files.TryGet(command.Store, out var file) && file.Health == StoreHealth.Filling
            ? On(files, file, reader => ScanReply.NewPage(reader.Page(command)), ScanReply.NewScanRefused)
                ?? ScanReply.ScanNotServing
            : ScanReply.ScanNotServing;

    public static DigestReply Digests(ShardFiles files, DigestCommand command, RouteBarrier barrier) =>
        Admitted(
            files,
            command.Stamp,
            command.Store,
            barrier,
            (file, reader) =>
            {
                var (floor, digests) = file.Digests.Of(command.Ranges, reader);
                return DigestReply.NewDigests(new RangeDigests(file.Registration.Incarnation, floor, digests));
            },
            DigestReply.NewDigestStaleEpoch,
            DigestReply.DigestNotServing,
            DigestReply.NewDigestRefused
        );

    public static ChangesReply Changes(ShardFiles files, ChangesCommand command, RouteBarrier barrier) =>
        Admitted(
            files,
            command.Stamp,
            command.Store,
            barrier,
            (_, reader) => ChangesReply.NewChanges(reader.Changes(command)),
            ChangesReply.NewChangesStaleEpoch,
            ChangesReply.ChangesNotServing,
            ChangesReply.NewChangesRefused
        );

    /// <summary>Runs on a reader of the file. Null: the store is gone.</summary>
    public static T? On<T>(ShardFiles files, ShardFile file, Func<ShardReader, T> read, Func<Refusal, T> refused)
    {
        if (!files.TryEnter(file))
            return default;
        try
        {
            return With(files, file, read, refused);
        }
        finally
        {
            files.Exit(file);
        }
    }

    /// <summary>In the order of index, generation and shard. Counts of a file that can't be read are 0.</summary>
    public static StoreStatus[] Status(ShardFiles files)
    {
        var statuses = new List<StoreStatus>();
        var ordered = files
            .All()
            .OrderBy(file => file.Registration.Store.Index, StringComparer.Ordinal)
            .ThenBy(file => file.Registration.Store.Generation)
            .ThenBy(file => file.Registration.Store.Shard);
        foreach (var file in ordered)
        {
            ShardCounts? counts = null;
            if (files.TryEnter(file))
            {
                try
                {
                    counts = file.Counts ?? CountsOf(files, file);
                }
                finally
                {
                    files.Exit(file);
                }
            }

            // It may have been found out just now.
            if (file.Health == StoreHealth.Quarantined)
                statuses.Add(StatusOf(file, default, 0));
            else if (counts is { } known)
                statuses.Add(StatusOf(file, known, file.Bytes()));
        }

        return [.. statuses];
    }

    private static StoreStatus StatusOf(ShardFile file, ShardCounts counts, long bytes) =>
        new(
            file.Registration.Store,
            file.Registration.Range,
            file.Registration.Incarnation,
            file.Registration.Migration,
            file.Registration.Attempt,
            counts.Documents,
            counts.Tombstones,
            bytes,
            file.FailedPuts,
            file.Health
        );

    private static void ReadFrom(
        ShardFiles files,
        ShardId store,
        int[] positions,
        IReadOnlyList<ReadCommand> commands,
        RouteBarrier[] barriers,
        ReadReply[] replies
    )
    {
        if (!files.TryServing(store, out var file) || !files.TryEnter(file))
        {
            FillIn(_ => Mutants.notServingAnswersAbsent() ? ReadReply.Absent : ReadReply.ReadNotServing);
            return;
        }

        try
        {
            var gates = new SharedGates();
            foreach (var position in positions)
                gates.Add(barriers[position]);
            With(
                files,
                file,
                reader =>
                {
                    gates.Enter();
                    try
                    {
                        if (positions.Length > 1)
                            reader.Begin();
                        FillIn(position => Find(reader, file.Registration, commands[position].Key));
                        return true;
                    }
                    finally
                    {
                        reader.End();
                        gates.Exit();
                    }
                },
                refusal =>
                {
                    FillIn(_ => ReadReply.NewReadRefused(refusal));
                    return false;
                }
            );
        }
        finally
        {
            files.Exit(file);
        }

        void FillIn(Func<int, ReadReply> reply)
        {
            foreach (var position in positions)
            {
                var barrier = barriers[position];
                replies[position] = IsStale(commands[position].Stamp, barrier)
                    ? ReadReply.NewReadStaleEpoch(barrier.Epoch, barrier.ToldOption)
                    : reply(position);
            }
        }
    }

    /// <summary>Runs on a reader of a store that serves, with the barrier held where it is while rows are read.</summary>
    private static T Admitted<T>(
        ShardFiles files,
        RouteStamp stamp,
        ShardId store,
        RouteBarrier barrier,
        Func<ShardFile, ShardReader, T> read,
        Func<long, FSharpOption<Route>?, T> stale,
        T notServing,
        Func<Refusal, T> refused
    )
        where T : class
    {
        return files.TryServing(store, out var file)
            ? On(files, file, reader => Gated(file, reader), refusal => StaleOr(refused(refusal)))
                ?? StaleOr(notServing)
            : StaleOr(notServing);

        T StaleOr(T other) => IsStale(stamp, barrier) ? stale(barrier.Epoch, barrier.ToldOption) : other;

        T Gated(ShardFile entered, ShardReader reader)
        {
            barrier.EnterShared();
            try
            {
                return IsStale(stamp, barrier) ? stale(barrier.Epoch, barrier.ToldOption) : read(entered, reader);
            }
            finally
            {
                barrier.ExitShared();
            }
        }
    }

    private static bool IsStale(RouteStamp stamp, RouteBarrier barrier) =>
        stamp.Epoch < barrier.Epoch && !Mutants.readsBelowTheBarrier();

    private static ReadReply Find(ShardReader reader, StoreRegistration store, Key key)
    {
        if (!store.Range.Contains(key))
            return ReadReply.NewReadRefused(Refusals.WrongShard(key, store.Store, store.Range));
        try
        {
            return reader.Find(key) is { } document ? ReadReply.NewFound(document) : ReadReply.Absent;
        }
        catch (RottenBodyException e)
        {
            // The others of the call are none the worse for it.
            return ReadReply.NewReadRefused(Refusals.Of(e));
        }
    }

    private static ShardCounts CountsOf(ShardFiles files, ShardFile file)
    {
        try
        {
            file.Open(files.FileCacheKiB);
            return file.Counts ?? default;
        }
        catch (Exception e) when (e is SqliteException or ShardFileException)
        {
            // Those who read or write it are told; here the store is listed all the same.
            files.Report(file, e);
            return default;
        }
    }

    /// <summary>Runs on a reader of the file, which the caller has entered.</summary>
    private static T With<T>(ShardFiles files, ShardFile file, Func<ShardReader, T> read, Func<Refusal, T> refused)
    {
        ShardReader? reader = null;
        var isUsable = false;
        try
        {
            reader = file.Borrow(files.FileCacheKiB);
            var answer = read(reader);
            isUsable = true;
            return answer;
        }
        catch (Exception e) when (e is SqliteException or ShardFileException)
        {
            files.Report(file, e);
            return refused(Refusals.Of(e));
        }
        finally
        {
            if (reader is not null)
                file.Return(reader, isUsable);
        }
    }
}
