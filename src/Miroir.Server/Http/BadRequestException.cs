namespace Miroir.Server.Http;

/// <summary>A request that can't be understood. The message says which argument, what was expected, what came.</summary>
public sealed class BadRequestException(string code, string message) : Exception(message)
{
    public string Code { get; } = code;
}
