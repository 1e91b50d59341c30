using System.Reflection;

namespace Miroir.Server;

internal static class Program
{
    private static int Main()
    {
        Console.WriteLine($"miroir {Assembly.GetExecutingAssembly().GetName().Version}");
        return 0;
    }
}
