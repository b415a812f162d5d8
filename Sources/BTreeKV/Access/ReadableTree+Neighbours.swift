internal import Pager

/// How an entry lies to a given key.
@usableFromInline
enum Relation: Sendable {
  case above, below, floor, ceiling

  var isUpwards: Bool { self == .above || self == .ceiling }
}

extension ReadableTree where Self: ~Copyable & ~Escapable {
  /// The entry with the smallest key, or nil when there is none.
  ///
  /// - Throws: `.corrupted`, `.inputOutput`, `.closed`.
  public func min() throws(DatabaseError) -> Entry? {
    try cursor().next()
  }

  /// The entry with the largest key, or nil when there is none.
  ///
  /// - Throws: `.corrupted`, `.inputOutput`, `.closed`.
  public func max() throws(DatabaseError) -> Entry? {
    try cursor(reversed: true).next()
  }

  /// The entry with the smallest key above `key`, which need not be there itself.
  public func above(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable
  ) throws(DatabaseError) -> Entry? {
    try withEntry(above: key) { key, value in copiedEntry(key, value) }
  }

  /// The entry with the largest key below `key`, which need not be there itself.
  public func below(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable
  ) throws(DatabaseError) -> Entry? {
    try withEntry(below: key) { key, value in copiedEntry(key, value) }
  }

  /// The entry of `key` itself, or else of the largest key below.
  public func floor(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable
  ) throws(DatabaseError) -> Entry? {
    try withEntry(floor: key) { key, value in copiedEntry(key, value) }
  }

  /// The entry of `key` itself, or else of the smallest key above.
  public func ceiling(
    _ key: borrowing some ByteString & ~Copyable & ~Escapable
  ) throws(DatabaseError) -> Entry? {
    try withEntry(ceiling: key) { key, value in copiedEntry(key, value) }
  }

  /// Lends the entry with the smallest key above `key` to `body`; nil when there is none.
  @inlinable
  public func withEntry<R>(
    above key: borrowing some ByteString & ~Copyable & ~Escapable,
    _ body: (_ key: RawSpan, _ value: RawSpan) -> R
  ) throws(DatabaseError) -> R? {
    try key.withBytes { (key) throws(DatabaseError) in try withEntry(.above, key, body) }
  }

  /// Lends the entry with the largest key below `key` to `body`; nil when there is none.
  @inlinable
  public func withEntry<R>(
    below key: borrowing some ByteString & ~Copyable & ~Escapable,
    _ body: (_ key: RawSpan, _ value: RawSpan) -> R
  ) throws(DatabaseError) -> R? {
    try key.withBytes { (key) throws(DatabaseError) in try withEntry(.below, key, body) }
  }

  /// Lends the entry of `key`, or of the largest key below, to `body`; nil when there is none.
  @inlinable
  public func withEntry<R>(
    floor key: borrowing some ByteString & ~Copyable & ~Escapable,
    _ body: (_ key: RawSpan, _ value: RawSpan) -> R
  ) throws(DatabaseError) -> R? {
    try key.withBytes { (key) throws(DatabaseError) in try withEntry(.floor, key, body) }
  }

  /// Lends the entry of `key`, or of the smallest key above, to `body`; nil when there is none.
  @inlinable
  public func withEntry<R>(
    ceiling key: borrowing some ByteString & ~Copyable & ~Escapable,
    _ body: (_ key: RawSpan, _ value: RawSpan) -> R
  ) throws(DatabaseError) -> R? {
    try key.withBytes { (key) throws(DatabaseError) in try withEntry(.ceiling, key, body) }
  }

  @inlinable
  func withEntry<R>(
    _ relation: Relation, _ key: UnsafeRawBufferPointer,
    _ body: (_ key: RawSpan, _ value: RawSpan) -> R
  ) throws(DatabaseError) -> R? {
    let access = access
    var copied = CopiedEntry(keyLength: 0, valueLength: 0, isComplete: false)
    var result: R?
    let problem: DatabaseError? = withUnsafeTemporaryAllocation(
      byteCount: 1024, alignment: 16
    ) { room in
      do throws(DatabaseError) {
        copied = try access.copyNeighbour(relation, key, room)
        if copied.isComplete {
          let value = copied.keyLength..<copied.keyLength &+ copied.valueLength
          result = body(
            UnsafeRawBufferPointer(rebasing: room[..<copied.keyLength]).bytes,
            UnsafeRawBufferPointer(rebasing: room[value]).bytes)
        }
        return nil
      } catch {
        return error
      }
    }
    if let problem { throw problem }
    if copied.isComplete { return result }
    // At the edge of a leaf, or too large to copy: the long way.
    guard let walker = try access.neighbourWalker(relation, key) else { return nil }
    return body(walker.key.bytes, walker.value.bytes)
  }
}

private func copiedEntry(_ key: RawSpan, _ value: RawSpan) -> (key: [UInt8], value: [UInt8]) {
  (key.withUnsafeBytes { Array($0) }, value.withUnsafeBytes { Array($0) })
}

/// What was copied of an entry.
@usableFromInline
struct CopiedEntry {
  @usableFromInline var keyLength: Int
  @usableFromInline var valueLength: Int
  @usableFromInline var isComplete: Bool

  @usableFromInline init(keyLength: Int, valueLength: Int, isComplete: Bool) {
    self.keyLength = keyLength
    self.valueLength = valueLength
    self.isComplete = isComplete
  }
}

extension Tree {
  func copyNeighbour(
    _ relation: Relation, _ key: UnsafeRawBufferPointer, root: TreeRoot?,
    _ room: UnsafeMutableRawBufferPointer
  ) throws(PagerError) -> CopiedEntry {
    let nothing = CopiedEntry(keyLength: 0, valueLength: 0, isComplete: false)
    while true {
      guard let visit = try leaf(for: key, root: root) else { return nothing }
      let node = node(visit.page.id)
      let count = node.count
      let (place, isFound) = node.lowerBound(of: key, isLeaf: true, pageByteCount: pageByteCount)
      var index = place
      switch relation {
      case .above: if isFound { index &+= 1 }
      case .ceiling: break
      case .below: index &-= 1
      case .floor: if !isFound { index &-= 1 }
      }
      var copied = nothing
      if index >= 0, index < count {
        copied = copyEntry(node, index, into: room)
      }
      if pool.endRead(visit.page.id, visit.version) { return copied }
    }
  }

  /// Copies an entry of a page that may be changing; the caller validates.
  private func copyEntry(
    _ node: Node, _ index: Int, into room: UnsafeMutableRawBufferPointer
  ) -> CopiedEntry {
    let cell = node.cell(index, isLeaf: true)
    let prefix = node.prefix(pageByteCount)
    let keyLength = prefix.count &+ cell.suffixLength
    let valueLength = cell.payload.count
    guard let to = room.baseAddress, !cell.isLarge,
      prefix.count &+ 4 &+ cell.tail.count
        &+ valueLength <= room.count
    else { return CopiedEntry(keyLength: 0, valueLength: 0, isComplete: false) }
    if let from = prefix.baseAddress { to.copyMemory(from: from, byteCount: prefix.count) }
    (to + prefix.count).storeBytes(of: node.head(index).bigEndian, as: UInt32.self)
    if let from = cell.tail.baseAddress {
      (to + (prefix.count &+ 4)).copyMemory(from: from, byteCount: cell.tail.count)
    }
    if let from = cell.payload.baseAddress {
      (to + keyLength).copyMemory(from: from, byteCount: valueLength)
    }
    return CopiedEntry(keyLength: keyLength, valueLength: valueLength, isComplete: true)
  }
}
