using Miroir.Ports;
using Miroir.Simulation.Cluster;

namespace Miroir.Simulation.Coordination;

/// <summary>Metadata that answer at once; one commit, if so told, without saying what came of it.</summary>
internal sealed class DirectMetadata(MetadataDisk disk) : IMetadataStore
{
    private bool? _happens;

    /// <summary>The next commit's outcome is unknown.</summary>
    public void Forget(bool happens) => _happens = happens;

    public Task<MetadataEntry[]> Read(string prefix, CancellationToken cancel) => Task.FromResult(disk.Read(prefix));

    public Task<MetadataResult> Commit(
        IReadOnlyList<MetadataGuard> guards,
        IReadOnlyList<MetadataWrite> writes,
        CancellationToken cancel
    )
    {
        var happens = _happens;
        _happens = null;
        var result = happens == false ? null : disk.Commit(guards, writes);
        return Task.FromResult(
            happens is null ? result! : MetadataResult.NewMetadataUnknown("no answer from the metadata store")
        );
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
