using Miroir.Ports;
using Miroir.Stores.Sqlite;
using Miroir.Stores.Tests.Conformance;
using NUnit.Framework;

namespace Miroir.Stores.Tests;

[TestFixture]
public sealed class SqliteNodeStoreTests : NodeStoreConformance
{
    protected override int Runs => 60;

    protected override Task<INodeStore> OpenAsync(string directory, IEntropy entropy) =>
        Task.FromResult<INodeStore>(SqliteNodeStore.Open(directory, new() { Changes = Retention }, entropy));
}

/// <summary>Bounds so narrow that files are closed and opened all the time, groups are split, and logs are short.</summary>
[TestFixture]
public sealed class NarrowSqliteNodeStoreTests : NodeStoreConformance
{
    protected override int Runs => 40;

    protected override long MaxChanges => 5;

    protected override Task<INodeStore> OpenAsync(string directory, IEntropy entropy) =>
        Task.FromResult<INodeStore>(
            SqliteNodeStore.Open(
                directory,
                new()
                {
                    MaxOpenFiles = 1,
                    MaxGroupPuts = 2,
                    MaxGroupBytes = 50,
                    CacheBudgetMiB = 1,
                    WriterThreads = 2,
                    MaxConcurrentReads = 2,
                    WalAutoCheckpointPages = 3,
                    Changes = Retention,
                },
                entropy
            )
        );
}
