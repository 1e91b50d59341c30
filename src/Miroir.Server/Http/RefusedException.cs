namespace Miroir.Server.Http;

/// <summary>A request that is answered with an error; nothing of what it asked has happened.</summary>
public sealed class RefusedException(ApiError error) : Exception(error.Message)
{
    public RefusedException(string code, string message)
        : this(new ApiError(message, code)) { }

    public ApiError Error { get; } = error;
}
