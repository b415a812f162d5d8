// The entry points that libFuzzer calls. One binary holds all targets; FUZZ_TARGET names the one to
// run, and with FUZZ_SEEDS the target's seeds are written to that folder and nothing is run.

import Glibc

/// A fuzz target: what it does with an input, and what inputs it begins with.
struct FuzzTarget: Sendable {
  var run: @Sendable (UnsafeRawBufferPointer) -> Void
  var seeds: @Sendable () -> [[UInt8]]

  static let all: [String: FuzzTarget] = [
    "superblock": superblock, "page": page, "log": log, "table": table, "catalogue": catalogue,
    "space": space, "value": value, "keys": keys, "file": file, "layers": layers,
    "salvage": salvage, "pco": pco,
  ]
}

private func setting(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

private let target: FuzzTarget = {
  let name = setting("FUZZ_TARGET") ?? ""
  guard let target = FuzzTarget.all[name] else {
    print("FUZZ_TARGET must be one of \(FuzzTarget.all.keys.sorted().joined(separator: " "))")
    exit(2)
  }
  return target
}()

/// Called once, before all inputs.
@_cdecl("LLVMFuzzerInitialize")
public func fuzzerInitialize(
  _ argumentCount: UnsafeMutableRawPointer, _ arguments: UnsafeMutableRawPointer
) -> CInt {
  guard let folder = setting("FUZZ_SEEDS") else { return 0 }
  for (index, seed) in target.seeds().enumerated() {
    guard let file = fopen("\(folder)/seed-\(index)", "w") else { exit(2) }
    _ = seed.withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count, file) }
    fclose(file)
  }
  exit(0)
}

/// Called for each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzerTestOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  target.run(UnsafeRawBufferPointer(start: start, count: count))
  return 0
}

/// Stops the fuzzer with a find unless the condition holds, in release builds too.
func require(_ condition: Bool, _ text: @autoclosure () -> String) {
  if !condition { fatalError("find: \(text())") }
}

/// Decisions taken from the front of an input; zeros when it is used up.
struct FuzzInput {
  private var rest: Slice<UnsafeRawBufferPointer>

  init(_ bytes: UnsafeRawBufferPointer) { rest = bytes[...] }

  var isEmpty: Bool { rest.isEmpty }

  mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

  mutating func word() -> Int { Int(byte()) | Int(byte()) << 8 }

  mutating func long() -> UInt64 {
    (0..<8).reduce(0) { $0 | UInt64(byte()) << (8 * UInt64($1)) }
  }

  mutating func bytes(_ count: Int) -> [UInt8] {
    let taken = Array(rest.prefix(count))
    rest = rest.dropFirst(count)
    return taken
  }

  mutating func all() -> [UInt8] { bytes(rest.count) }
}

extension [UInt8] {
  /// Overwrites a number; nothing where it would not fit.
  mutating func put<T: FixedWidthInteger>(_ value: T, at offset: Int) {
    guard offset >= 0, offset + MemoryLayout<T>.size <= count else { return }
    withUnsafeMutableBytes {
      $0.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
    }
  }

  /// A number, or zero where there is none.
  func get<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type, at offset: Int) -> T {
    guard offset >= 0, offset + MemoryLayout<T>.size <= count else { return 0 }
    return withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self)) }
  }

  /// An edit of the input: where, and which bytes; some of the bytes are numbers that are
  /// interesting, or what is there with a little added.
  mutating func edit(_ input: inout FuzzInput, in range: Range<Int>) {
    guard !range.isEmpty, range.upperBound <= count else { return }
    let place = range.lowerBound + input.word() % range.count
    let how = input.byte()
    switch how % 6 {
    case 0:
      for (index, byte) in input.bytes(Int(how) / 6 % 16 + 1).enumerated()
      where place + index < range.upperBound {
        self[place + index] = byte
      }
    case 1: self[place] ^= 1 << (input.byte() & 7)
    case 2: put(get(UInt16.self, at: place) &+ UInt16(input.byte()) &- 128, at: place)
    case 3: put(get(UInt32.self, at: place & ~3) &+ UInt32(input.byte()) &- 128, at: place & ~3)
    case 4:
      let numbers: [UInt64] = [
        0, 1, 4, 255, 65535, 1 << 31, 1 << 32, 1 << 46, (1 << 47) - 1, (1 << 62) - 1, 1 << 63, .max,
      ]
      put(numbers[Int(input.byte()) % numbers.count], at: place & ~7)
    default:
      // Some bytes from elsewhere in the range: the likeliest way to a number that makes sense.
      let from = range.lowerBound + input.word() % range.count
      for index in 0..<Int(how) / 6 % 16 + 1
      where Swift.max(place, from) + index < range.upperBound {
        self[place + index] = self[from + index]
      }
    }
  }
}
