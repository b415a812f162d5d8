/// Standard output, buffered: a scan makes one system call every 64 KiB, not one a record.
///
/// A reader that has gone away (`| head`) is not an error: what follows is dropped, and a scan
/// looks at `isOpen` to stop early.
final class Output {
  private var buffer: [UInt8] = []
  private let descriptor: Int32
  private var errorNumber: Int32 = 0

  private static let bufferByteCount = 1 << 16

  init(descriptor: Int32) {
    self.descriptor = descriptor
    buffer.reserveCapacity(Output.bufferByteCount)
  }

  /// Whether there is still someone to write for.
  var isOpen: Bool { errorNumber == 0 }

  func write(_ text: String) {
    buffer.append(contentsOf: text.utf8)
    flushIfFull()
  }

  func write(_ byte: Unicode.Scalar) {
    buffer.append(UInt8(ascii: byte))
    flushIfFull()
  }

  func write(_ bytes: UnsafeRawBufferPointer) {
    if bytes.count < Output.bufferByteCount {
      buffer.append(contentsOf: bytes)
      flushIfFull()
    } else {
      // A large value goes out from where it lies.
      drain()
      send(bytes)
    }
  }

  func writeHex(_ bytes: UnsafeRawBufferPointer) {
    for byte in bytes {
      buffer.append(Output.digits[Int(byte >> 4)])
      buffer.append(Output.digits[Int(byte & 15)])
      flushIfFull()
    }
  }

  /// Sends what is buffered.
  ///
  /// - Throws: when anything since the last call could not be written, except for a reader that
  ///   went away.
  func flush() throws(Failure) {
    drain()
    guard errorNumber == 0 || errorNumber == System.brokenPipe else {
      throw .system(what: "standard output", errorNumber: errorNumber)
    }
  }

  private static let digits = [UInt8]("0123456789abcdef".utf8)

  private func flushIfFull() {
    if buffer.count >= Output.bufferByteCount { drain() }
  }

  private func drain() {
    buffer.withUnsafeBytes { send($0) }
    buffer.removeAll(keepingCapacity: true)
  }

  private func send(_ bytes: UnsafeRawBufferPointer) {
    guard errorNumber == 0 else { return }
    errorNumber = System.write(bytes, to: descriptor)
  }
}

/// Standard error, where each message is one write and so stays whole beside other processes'.
enum Diagnostics {
  static func write(_ text: String) {
    var text = text
    // Messages that cannot be delivered have nowhere else to go.
    _ = text.withUTF8 { System.write(UnsafeRawBufferPointer($0), to: System.standardError) }
  }
}
