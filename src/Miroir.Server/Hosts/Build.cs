using System.Reflection;

namespace Miroir.Server.Hosts;

/// <summary>Which build this is.</summary>
internal static class Build
{
    public static string Version { get; } = Assembly.GetExecutingAssembly().GetName().Version?.ToString(3) ?? "0.0.0";
}
