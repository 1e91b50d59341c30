namespace Miroir.Server.Commands;

/// <summary>The command line is wrong. The message names the argument and what was expected.</summary>
internal sealed class UsageException(string message) : Exception(message);
