using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Benchmarks;

/// <summary>
/// A node with as many entries as one likes and no memory of them: the n-th is computed, its hash n-th part of the hash
/// space, its key the one that has this hash. It only scans.
/// </summary>
internal sealed class StreamedNode(string name, long entries) : INode
{
    private readonly ulong _step = (ulong)((UInt128.One << 64) / (ulong)entries);

    public string Name => name;

    public async IAsyncEnumerable<ScanReply> ScanRanges(
        RangesCommand command,
        [EnumeratorCancellation] CancellationToken cancel
    )
    {
        if (!command.Ranges.SequenceEqual([HashRange.Full]))
            throw new NotSupportedException("it scans the whole hash space only");
        var next = command.After is { } after ? (long)(after.Hash / _step) + 1 : 0;
        var isLast = false;
        while (!isLast)
        {
            cancel.ThrowIfCancellationRequested();
            await Task.Yield();
            var page = new Entry[Math.Min(command.MaxEntries, entries - next)];
            for (var i = 0; i < page.Length; i++)
                page[i] = EntryAt(next++);
            isLast = next == entries;
            yield return ScanReply.NewPage(new ScanPage(page, [], isLast));
        }
    }

    public Task<PutReply[]> Put(IReadOnlyList<PutCommand> commands, CancellationToken cancel) => throw OnlyScans();

    public Task<ReadReply[]> Read(IReadOnlyList<ReadCommand> commands, CancellationToken cancel) => throw OnlyScans();

    public Task<BarrierReply[]> RaiseBarriers(IReadOnlyList<BarrierCommand> commands, CancellationToken cancel) =>
        throw OnlyScans();

    public Task<MakeReply> Make(MakeCommand command, CancellationToken cancel) => throw OnlyScans();

    public Task<DropReply> Drop(DropCommand command, CancellationToken cancel) => throw OnlyScans();

    public IAsyncEnumerable<ScanReply> Scan(ScanCommand command, CancellationToken cancel) => throw OnlyScans();

    public IAsyncEnumerable<ReconcileReply> Reconcile(ReconcileCommand command, CancellationToken cancel) =>
        throw OnlyScans();

    public Task<NodeStatus> Status(CancellationToken cancel) => throw OnlyScans();

    public Task<DigestReply> Digests(DigestCommand command, CancellationToken cancel) => throw OnlyScans();

    public Task<HealReply[]> Heal(IReadOnlyList<HealCommand> commands, CancellationToken cancel) => throw OnlyScans();

    public Task<ScrubReply> Scrub(ScrubCommand command, CancellationToken cancel) => throw OnlyScans();

    public Task<PurgeReply> Purge(PurgeCommand command, CancellationToken cancel) => throw OnlyScans();

    public Task<ChangesReply> Changes(ChangesCommand command, CancellationToken cancel) => throw OnlyScans();

    public Task<LogChangesReply> LogChanges(LogChangesCommand command, CancellationToken cancel) => throw OnlyScans();

    private static NotSupportedException OnlyScans() => new("a streamed node only scans");

    private Entry EntryAt(long number)
    {
        var hash = (ulong)number * _step;
        return new Entry(
            KeyOfHash.Of(hash),
            new DocumentVersion(1, number + 1),
            false,
            new Digest(hash, ~hash),
            Guid.Empty,
            Origin.Client
        );
    }
}

/// <summary>
/// XXH64 backwards: of keys of 16 bytes with the same first 8, each step over the last 8 can be undone, so that there is
/// one for every hash.
/// </summary>
internal static class KeyOfHash
{
    private const ulong Prime1 = 0x9E3779B185EBCA87;
    private const ulong Prime2 = 0xC2B2AE3D27D4EB4F;
    private const ulong Prime3 = 0x165667B19E3779F9;
    private const ulong Prime4 = 0x85EBCA77C2B2AE63;
    private const ulong Prime5 = 0x27D4EB2F165667C5;

    private static readonly ulong Inverse1 = InverseOf(Prime1);
    private static readonly ulong Inverse2 = InverseOf(Prime2);
    private static readonly ulong Inverse3 = InverseOf(Prime3);

    public static Key Of(ulong hash)
    {
        Span<byte> bytes = stackalloc byte[16];
        "streamed"u8.CopyTo(bytes);
        var first =
            BitOperations.RotateLeft((Prime5 + 16) ^ Round(BinaryPrimitives.ReadUInt64LittleEndian(bytes)), 27) * Prime1
            + Prime4;
        var h = hash;
        h = (h ^ (h >> 32)) * Inverse3;
        h = (h ^ (h >> 29) ^ (h >> 58)) * Inverse2;
        h ^= h >> 33;
        var round = BitOperations.RotateRight((h - Prime4) * Inverse1, 27) ^ first;
        var last = BitOperations.RotateRight(round * Inverse1, 31) * Inverse2;
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[8..], last);
        var key = Key.OfBytes(bytes);
        return key.Hash == hash
            ? key
            : throw new InvalidOperationException($"the key made for hash {hash:x16} has hash {key.Hash:x16}");
    }

    private static ulong Round(ulong lane) => BitOperations.RotateLeft(lane * Prime2, 31) * Prime1;

    /// <summary>Modulo 2^64, by Newton's iteration: each step doubles the bits that are right, of which an odd number begins with 3.</summary>
    private static ulong InverseOf(ulong odd)
    {
        var inverse = odd;
        for (var bits = 3; bits < 64; bits *= 2)
            inverse *= 2 - odd * inverse;
        return inverse;
    }
}
