using System.Collections.Concurrent;
using Miroir.Ports;
using Miroir.Stores.Memory;
using Miroir.Stores.Tests.Conformance;
using NUnit.Framework;

namespace Miroir.Stores.Tests;

[TestFixture]
public sealed class MemoryNodeStoreTests : NodeStoreConformance
{
    private readonly ConcurrentDictionary<string, MemoryDisk> disks = new();

    protected override Task<INodeStore> OpenAsync(string directory, IEntropy entropy) =>
        Task.FromResult<INodeStore>(
            new MemoryNodeStore(entropy, disks.GetOrAdd(directory, _ => new MemoryDisk()), Retention)
        );
}

/// <summary>A faulty store without a fault is the store behind it. Logs are short.</summary>
[TestFixture]
public sealed class FaultlessNodeStoreTests : NodeStoreConformance
{
    private readonly ConcurrentDictionary<string, MemoryDisk> disks = new();

    protected override long MaxChanges => 5;

    protected override Task<INodeStore> OpenAsync(string directory, IEntropy entropy) =>
        Task.FromResult<INodeStore>(
            new FaultyNodeStore(
                new MemoryNodeStore(entropy, disks.GetOrAdd(directory, _ => new MemoryDisk()), Retention),
                FaultPlan.None,
                entropy,
                TimeProvider.System
            )
        );
}
