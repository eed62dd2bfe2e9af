/** An answer other than success, in Toxiproxy's form: `{"error": "...", "status": 404}`. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
