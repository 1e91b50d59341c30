namespace Miroir.Chaos;

internal static class Program
{
    private static int Main()
    {
        Console.Error.WriteLine(
            "usage: Miroir.Chaos demo [--kill coordinator|node|router] [--input FILE.ndjson] [--keep]"
        );
        return 2;
    }
}
