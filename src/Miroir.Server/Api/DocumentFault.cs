namespace Miroir.Server.Api;

/// <summary>Why one document of a request was not written, or is not known to have been. <c>Id</c>: its key where it has one, else its place.</summary>
internal readonly record struct DocumentFault(string Id, string Code, string Message);
