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
        Task.FromResult<INodeStore>(new MemoryNodeStore(entropy, disks.GetOrAdd(directory, _ => new MemoryDisk())));
}

/// <summary>A faulty store without a fault is the store behind it.</summary>
[TestFixture]
public sealed class FaultlessNodeStoreTests : NodeStoreConformance
{
    private readonly ConcurrentDictionary<string, MemoryDisk> disks = new();

    protected override Task<INodeStore> OpenAsync(string directory, IEntropy entropy) =>
        Task.FromResult<INodeStore>(
            new FaultyNodeStore(
                new MemoryNodeStore(entropy, disks.GetOrAdd(directory, _ => new MemoryDisk())),
                FaultPlan.None,
                entropy,
                TimeProvider.System
            )
        );
}
