using Miroir.Ports;
using Miroir.Simulation.Kernel;
using Miroir.Simulation.Network;

namespace Miroir.Simulation.Cluster;

/// <summary>The metadata that every coordinator of a simulation finds: keys with compare-and-set over several of them.</summary>
public sealed class MetadataDisk
{
    private readonly SortedDictionary<string, (byte[] Value, long ModRevision)> _entries = new(StringComparer.Ordinal);
    private long _revision;

    /// <summary>Nothing is read or written while it is true.</summary>
    public bool IsAway { get; set; }

    /// <summary>Transactions so far.</summary>
    public long Revision => _revision;

    /// <summary>Called with each key that is put, and null where it is deleted.</summary>
    public Action<string, byte[]?> OnWrite { get; set; } = static (_, _) => { };

    public MetadataEntry[] Read(string prefix) =>
        [
            .. _entries
                .Where(e => e.Key.StartsWith(prefix, StringComparison.Ordinal))
                .Select(e => new MetadataEntry(e.Key, e.Value.Value, e.Value.ModRevision)),
        ];

    public MetadataResult Commit(IReadOnlyList<MetadataGuard> guards, IReadOnlyList<MetadataWrite> writes)
    {
        foreach (var guard in guards)
        {
            if (guard.ModRevision != (_entries.TryGetValue(guard.Key, out var entry) ? entry.ModRevision : 0))
            {
                return MetadataResult.Conflict;
            }
        }
        _revision++;
        foreach (var write in writes)
        {
            if (write.Value is { } value)
            {
                _entries[write.Key] = (value, _revision);
            }
            else
            {
                _entries.Remove(write.Key);
            }
            OnWrite(write.Key, write.Value);
        }
        return MetadataResult.NewCommitted(_revision);
    }
}

/// <summary>
/// One coordinator's way to the metadata. A commit that is under way when its coordinator dies may still happen; one whose
/// outcome is unknown has happened, or never will, by the time that this is said.
/// </summary>
public sealed class SimMetadata(MetadataDisk disk, SimNetwork network, SimProcess process) : IMetadataStore
{
    private readonly SimKernel _kernel = network.Kernel;

    public Task<MetadataEntry[]> Read(string prefix, CancellationToken cancel) =>
        Later(
            () =>
            {
                if (!disk.IsAway)
                {
                    return disk.Read(prefix);
                }
                network.Count("metadata read failed");
                throw new UnreachableException("metadata store", "it is away");
            },
            cancel
        );

    public Task<MetadataResult> Commit(
        IReadOnlyList<MetadataGuard> guards,
        IReadOnlyList<MetadataWrite> writes,
        CancellationToken cancel
    )
    {
        // What the caller does with its lists afterwards is its own affair.
        MetadataGuard[] guarded = [.. guards];
        MetadataWrite[] written = [.. writes];
        return Later(
            () =>
            {
                if (disk.IsAway)
                {
                    network.Count("metadata commit failed");
                    return MetadataResult.NewMetadataUnknown("the metadata store is away");
                }
                if (!_kernel.Chance(network.Faults.UnknownCommit))
                {
                    return disk.Commit(guarded, written);
                }
                var happens = _kernel.Chance(0.5);
                network.Count("unknown commit");
                _kernel.Tell(process.Name, $"commit of {written[0].Key}: unknown, {(happens ? "" : "not ")}tried");
                if (happens)
                {
                    disk.Commit(guarded, written);
                }
                return MetadataResult.NewMetadataUnknown("no answer from the metadata store");
            },
            cancel
        );
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private Task<T> Later<T>(Func<T> act, CancellationToken cancel)
    {
        if (cancel.IsCancellationRequested)
        {
            return Task.FromCanceled<T>(cancel);
        }
        var answer = new TaskCompletionSource<T>();
        _kernel.After(
            _kernel.Duration(0.05, 3),
            () =>
            {
                // A commit that was sent may arrive although its sender has died meanwhile.
                if (process.IsAlive || _kernel.Chance(0.5))
                {
                    Action settle;
                    try
                    {
                        var result = act();
                        settle = () => answer.TrySetResult(result);
                    }
                    catch (UnreachableException e)
                    {
                        settle = () => answer.TrySetException(e);
                    }
                    _kernel.After(_kernel.Duration(0.05, 3), settle);
                }
            }
        );
        return answer.Task;
    }
}
