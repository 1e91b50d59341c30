namespace Miroir.Chaos.Scenarios;

/// <summary>Where a scenario's processes keep their files: deleted afterwards, unless something went wrong.</summary>
internal sealed class ScenarioFolder(string name, bool isKept) : IAsyncDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory($"miroir-{name}-").FullName;

    public bool IsFine { get; set; }

    public ValueTask DisposeAsync()
    {
        if (IsFine && !isKept)
            Directory.Delete(Path, recursive: true);
        return ValueTask.CompletedTask;
    }
}
