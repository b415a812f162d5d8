import Foundation
import Pager

/// One thing that happened to a file, in the order in which it did.
package enum StorageEvent: Sendable {
  /// Bytes handed to the operating system.
  case write(offset: Int, bytes: [UInt8])
  /// A sector, or the file's last piece of one, that was stored to through a mapping.
  case store(offset: Int, bytes: [UInt8])
  /// Bytes that were on the medium when the call returned.
  case durableWrite(offset: Int, bytes: [UInt8])
  /// The file got this length.
  case resize(Int)
  /// Everything before is on the medium once this has returned.
  case synchronize
  /// A sync failed, and the system forgot what it could not write, as Linux does.
  case loss
}

/// What happened to one file over all of its openings.
///
/// Stores through mappings are no calls, so the recorder compares what is mapped with a shadow of
/// the file whenever it is called, and when somebody says `mark()`.
package final class Recorder: Sendable {
  private struct State: Sendable {
    var events: [StorageEvent] = []
    var shadow: [UInt8]
    var mappings: [(base: UInt, offset: Int, byteCount: Int)] = []
  }

  package static let sectorByteCount = 512

  /// What the file held on the medium before the first event.
  package let initialContents: [UInt8]
  private let state: Locked<State>

  package init(contents: [UInt8]) {
    initialContents = contents
    state = Locked(State(shadow: contents))
  }

  /// The events so far.
  package var events: [StorageEvent] { state.withLock { $0.events } }
  /// How many events there were so far.
  package var eventCount: Int { state.withLock { $0.events.count } }

  /// Records what was stored through mappings since the last event.
  package func mark() { state.withLock { Self.recordMappings(&$0) } }

  package func record(_ event: StorageEvent) {
    state.withLock { state in
      Self.recordMappings(&state)
      state.events.append(event)
      switch event {
      case .write(let offset, let bytes), .store(let offset, let bytes),
        .durableWrite(let offset, let bytes):
        Self.apply(bytes, at: offset, to: &state.shadow)
      case .resize(let count):
        Self.resize(&state.shadow, to: count)
      case .synchronize, .loss:
        break
      }
    }
  }

  package func addMapping(_ base: UnsafeMutableRawPointer, offset: Int, byteCount: Int) {
    state.withLock { $0.mappings.append((UInt(bitPattern: base), offset, byteCount)) }
  }

  package func removeMapping(_ base: UnsafeMutableRawPointer) {
    state.withLock { state in
      Self.recordMappings(&state)
      if let index = state.mappings.firstIndex(where: { $0.base == UInt(bitPattern: base) }) {
        state.mappings.remove(at: index)
      }
    }
  }

  package static func apply(_ bytes: [UInt8], at offset: Int, to file: inout [UInt8]) {
    if file.count < offset + bytes.count { resize(&file, to: offset + bytes.count) }
    file.withUnsafeMutableBytes { file in
      UnsafeMutableRawBufferPointer(rebasing: file[offset..<offset + bytes.count])
        .copyBytes(from: bytes)
    }
  }

  package static func resize(_ file: inout [UInt8], to count: Int) {
    if count > file.count {
      file.append(contentsOf: repeatElement(0, count: count - file.count))
    } else {
      file.removeLast(file.count - count)
    }
  }

  private static func recordMappings(_ state: inout State) {
    for mapping in state.mappings {
      guard let base = UnsafeRawPointer(bitPattern: mapping.base) else { continue }
      let end = min(mapping.offset + mapping.byteCount, state.shadow.count)
      var offset = mapping.offset
      while offset < end {
        let memory = base + (offset - mapping.offset)
        let step = min(4096, end - offset)
        let changed = changedSectors(memory, offset: offset, count: step, in: &state.shadow)
        state.events.append(contentsOf: changed)
        offset += step
      }
    }
  }

  /// The sectors of a piece that differ from the shadow, which is brought up to date.
  private static func changedSectors(
    _ memory: UnsafeRawPointer, offset: Int, count: Int, in shadow: inout [UInt8]
  ) -> [StorageEvent] {
    shadow.withUnsafeMutableBytes { shadow in
      let old = UnsafeMutableRawBufferPointer(rebasing: shadow[offset..<offset + count])
      let new = UnsafeRawBufferPointer(start: memory, count: count)
      guard isDifferent(UnsafeRawBufferPointer(old), new) else { return [] }
      var events: [StorageEvent] = []
      for start in stride(from: 0, to: count, by: sectorByteCount) {
        let range = start..<min(count, start + sectorByteCount)
        let sector = UnsafeRawBufferPointer(rebasing: new[range])
        guard isDifferent(UnsafeRawBufferPointer(rebasing: old[range]), sector) else { continue }
        UnsafeMutableRawBufferPointer(rebasing: old[range]).copyMemory(from: sector)
        events.append(.store(offset: offset + start, bytes: Array(sector)))
      }
      return events
    }
  }

  private static func isDifferent(
    _ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer
  ) -> Bool {
    guard let left = a.baseAddress, let right = b.baseAddress else { return false }
    return memcmp(left, right, a.count) != 0
  }
}
