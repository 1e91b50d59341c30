namespace Miroir.Chaos.Entropy;

/// <summary>What a drill saw, line by line, and what of it was not as it has to be.</summary>
internal sealed class DrillReport(Action<string> tell)
{
    private readonly List<string> _wrong = [];

    public IReadOnlyList<string> Wrong => _wrong;

    public void Tell(string line) => tell(line);

    public void Demand(bool isSo, string what)
    {
        if (!isSo)
            _wrong.Add(what);
    }

    public void Blame(IEnumerable<string> what) => _wrong.AddRange(what);
}
