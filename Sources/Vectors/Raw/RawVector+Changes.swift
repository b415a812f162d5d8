public import BTreeKV
internal import Pager

// Reading and changing with what is buffered.

extension BufferedVector {
  /// Appends an element.
  ///
  /// - Parameter element: any.
  /// - Complexity: O(1) on average.
  @inlinable public func append(_ element: Element) {
    pending.pointee.appended.append(element.stored)
  }

  /// Appends elements.
  ///
  /// - Parameter elements: any number.
  /// - Complexity: O(elements).
  @inlinable public func append(contentsOf elements: some Sequence<Element>) {
    if let stored = elements as? [Element.Stored] {
      stored.withUnsafeBytes { pending.pointee.appended.append(storedAs: $0) }
    } else {
      // First, since the caller's sequence may use this handle.
      let stored = ContiguousArray(elements.lazy.map(\.stored))
      stored.withUnsafeBytes { pending.pointee.appended.append(storedAs: $0) }
    }
  }

  /// How many of the elements that are written are to be left.
  ///
  /// Until one of them is to be changed or cut off, it is as many as there are now: somebody else, or
  /// this handle without buffering, may have appended more.
  private func keptCount() throws(DatabaseError) -> Int {
    if pending.pointee.baseCount == nil || pending.pointee.isAppending {
      let count = try access.count
      pending.pointee.baseCount = count
      pending.pointee.keptCount = count
    }
    return pending.pointee.keptCount
  }

  /// The number of elements, holes and what is buffered included.
  ///
  /// - Throws: `.notFound` when the vector was removed, `.corrupted`, `.inputOutput`, `.closed`.
  /// - Complexity: O(log n) page visits.
  public var count: Int {
    get throws(DatabaseError) {
      let written = pending.pointee.isAppending ? try access.count : pending.pointee.keptCount
      return written + pending.pointee.appended.count
    }
  }

  /// Whether there are no elements.
  ///
  /// - Throws: as `count`.
  public var isEmpty: Bool {
    get throws(DatabaseError) { try count == 0 }
  }

  private func checkedCount(_ index: Int) throws(DatabaseError) -> Int {
    let kept = try keptCount()
    try access.check(index, below: kept + pending.pointee.appended.count)
    return kept
  }

  /// The element at an index, or nil when there is a hole.
  ///
  /// For many elements, take a reader.
  ///
  /// - Parameter index: below `count`.
  /// - Throws: `.invalidArgument`, or as `count`.
  /// - Complexity: O(log n) page visits.
  public func element(at index: Int) throws(DatabaseError) -> Element? {
    if pending.pointee.isEmpty {
      return try access.kept().element(at: index, as: Element.self)
    }
    let kept = try checkedCount(index)
    if pending.pointee.holes.contains(index) { return nil }
    if index >= kept {
      return Element(stored: try pending.pointee.appended.element(at: index - kept))
    }
    if let update = pending.pointee.update(of: index) { return Element(stored: update) }
    return try access.kept().element(at: index, as: Element.self)
  }

  /// Stores an element in place of another one, or in a hole, which is none any more.
  ///
  /// - Parameters:
  ///   - index: below `count`.
  ///   - element: any.
  /// - Throws: `.invalidArgument`, or as `count`.
  /// - Complexity: O(1) on average.
  @inlinable
  public func update(at index: Int, _ element: Element) throws(DatabaseError) {
    if !pending.pointee.updates.isEmpty, index >= 0, index < pending.pointee.keptCount,
      pending.pointee.holes.isEmpty
    {
      pending.pointee.updates.append(index, element.stored)
    } else {
      try updateAnywhere(index, element)
    }
  }

  /// Updates an element that may be buffered itself, be a hole, or not be there.
  @usableFromInline @inline(never)
  func updateAnywhere(_ index: Int, _ element: Element) throws(DatabaseError) {
    let kept = try checkedCount(index)
    if index < kept {
      pending.pointee.updates.append(index, element.stored)
    } else {
      try pending.pointee.appended.update(at: index - kept, element.stored)
    }
    if !pending.pointee.holes.isEmpty { pending.pointee.holes.remove(index) }
  }

  /// Makes the vector shorter.
  ///
  /// - Parameter count: how many elements are to be left, at most `count`.
  /// - Throws: `.invalidArgument`, or as `count`.
  public func truncate(to count: Int) throws(DatabaseError) {
    let kept = try keptCount()
    guard count >= 0, count <= kept + pending.pointee.appended.count else {
      throw VectorAccess.unusable("a vector can't be truncated to more elements than it has")
    }
    try pending.pointee.appended.truncate(to: max(0, count - kept))
    pending.pointee.keptCount = min(kept, count)
    pending.pointee.holes = pending.pointee.holes.filter { $0 < count }
  }

  /// Appends an element as often as it takes to have so many; nothing if there are as many.
  ///
  /// - Parameters:
  ///   - count: how many elements there are to be at least.
  ///   - element: what is appended.
  /// - Throws: as `count`.
  public func fill(to count: Int, with element: Element) throws(DatabaseError) {
    let there = try keptCount() + pending.pointee.appended.count
    guard count > there else { return }
    let missing = count - there
    pending.pointee.appended.append(contentsOf: repeatElement(element.stored, count: missing))
  }

  // MARK: Holes

  /// Removes an element and leaves a hole.
  ///
  /// - Parameter index: below `count`.
  /// - Returns: the element, or nil when there was a hole already.
  /// - Throws: `.invalidArgument`, or as `count`.
  @discardableResult
  public func take(at index: Int) throws(DatabaseError) -> Element? {
    _ = try checkedCount(index)
    guard let element = try element(at: index) else { return nil }
    pending.pointee.holes.insert(index)
    return element
  }

  /// The places of all holes, ascending.
  ///
  /// - Throws: as `count`.
  /// - Complexity: O(holes).
  public var holes: [Int] {
    get throws(DatabaseError) {
      let written = try access.kept().holes()
      guard hasPendingChanges else { return written }
      let kept = try keptCount()
      let left = written.filter { $0 < kept && pending.pointee.update(of: $0) == nil }
      return pending.pointee.holes.union(left).sorted()
    }
  }

  /// Stores an element in the first hole, or appends it if there is none.
  ///
  /// Handles do not see what others have buffered: where several of them fill holes, or append what is
  /// to have its index, do it in transactions.
  ///
  /// - Parameter element: any.
  /// - Returns: its index.
  /// - Throws: as `count`.
  /// - Complexity: O(log n) page visits, and O(holes that were filled since the last `write`).
  @discardableResult
  public func fillFirstHole(orAppend element: Element) throws(DatabaseError) -> Int {
    let kept = try keptCount()
    var first = pending.pointee.holes.min()
    try access.kept().forEachHoleBlock { (number, block) throws(DatabaseError) in
      for offset in block.offsets {
        let index = number * HoleBlock.count + offset
        if index >= kept || index > first ?? .max { return false }
        if pending.pointee.update(of: index) == nil {
          first = index
          return false
        }
      }
      return true
    }
    guard let first else {
      append(element)
      return kept + pending.pointee.appended.count - 1
    }
    try update(at: first, element)
    return first
  }
}

// MARK: Stamps

extension BufferedVector {
  /// The last stamp, or nil when there is none.
  ///
  /// - Throws: as `count`.
  public var stamp: UInt64? {
    get throws(DatabaseError) { try access.kept().stamps().last?.stamp }
  }

  /// The stamps that can be gone back to, ascending; the last one is `stamp`.
  ///
  /// - Throws: as `count`.
  /// - Complexity: O(stamps that are kept).
  public var stamps: [UInt64] {
    get throws(DatabaseError) { try access.kept().stamps().map(\.stamp) }
  }

  /// Writes all buffered changes, and makes a stamp of what is there then, in one step.
  ///
  /// From then on what is changed or cut off of it is kept, so that the vector can be rolled back to
  /// it, until more stamps have come than `stampLimit` says.
  ///
  /// ```swift
  /// let balances = try RawVector<Int64>.open("balances", in: database)
  /// balances.append(contentsOf: [100, 200])
  /// try balances.commit(stamp: 1)
  /// try balances.update(at: 0, 50)
  /// balances.append(300)
  /// try balances.commit(stamp: 2)
  /// try balances.rollback()
  /// let (first, count) = (try balances.element(at: 0), try balances.count)
  /// assert(first == 100 && count == 2)
  /// ```
  ///
  /// - Parameters:
  ///   - stamp: greater than the last one.
  ///   - durability: as for `write`.
  /// - Throws: `.invalidArgument`, or as `write`.
  /// - Complexity: O(changes), and O(what was kept for stamps that are too old from now on).
  public func commit(
    stamp: UInt64, durability: Database.Durability? = nil
  ) throws(DatabaseError) {
    try changing(durability) { (access) throws(DatabaseError) in
      try pending.pointee.apply(to: access)
      try access.commit(stamp: stamp)
    }
  }

  /// Goes back to the stamp before the last one: all elements and holes are what they were.
  ///
  /// What came since the last stamp goes, too, and so does what is buffered.
  ///
  /// - Parameter durability: as for `write`.
  /// - Returns: the stamp that is the last one now.
  /// - Throws: `.notFound` when there is none, or it is not kept any more; else as `write`.
  /// - Complexity: O(what has changed since).
  @discardableResult
  public func rollback(durability: Database.Durability? = nil) throws(DatabaseError) -> UInt64 {
    try changing(durability) { (access) throws(DatabaseError) in
      let last = try access.period().number
      return try access.rollBack { $0.number < last }.stamp
    }
  }

  /// Goes back to the newest stamp that is less than another one.
  ///
  /// - Parameters:
  ///   - stamp: from which stamp on everything goes.
  ///   - durability: as for `write`.
  /// - Returns: the stamp that is the last one now.
  /// - Throws: as `rollback()`.
  /// - Complexity: O(what has changed since).
  @discardableResult
  public func rollback(
    before stamp: UInt64, durability: Database.Durability? = nil
  ) throws(DatabaseError) -> UInt64 {
    try changing(durability) { (access) throws(DatabaseError) in
      try access.rollBack { $0.stamp < stamp }.stamp
    }
  }

  /// Goes back to a stamp; if it is the last one, what came since goes.
  ///
  /// - Parameters:
  ///   - stamp: one that is kept.
  ///   - durability: as for `write`.
  /// - Throws: as `rollback()`.
  /// - Complexity: O(what has changed since).
  public func rollback(
    to stamp: UInt64, durability: Database.Durability? = nil
  ) throws(DatabaseError) {
    _ = try changing(durability) { (access) throws(DatabaseError) in
      try access.rollBack { $0.stamp == stamp }
    }
  }

  private func changing<R>(
    _ durability: Database.Durability?, _ body: (VectorAccess) throws(DatabaseError) -> R
  ) throws(DatabaseError) -> R {
    try clearing { () throws(DatabaseError) in
      try database.changingVectors(durability) { (transaction) throws(DatabaseError) in
        try body(access.in(transaction))
      }
    }
  }
}
